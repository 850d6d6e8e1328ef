"""The Relay when an edge worker dies or a caller does not read; and the transport stream-chat."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from openai import OpenAI

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.gguf_files import write_gguf
from tests.support.http import open_stream, post
from tests.support.replicas import admin, wait_until
from tests.support.service import Service

CHAT = "/v1/chat/completions"
HELLO: dict[str, Any] = {
    "model": REFERENCE_MODEL,
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": 40,
}
LONG = {**HELLO, "max_tokens": 3900, "ignore_eos": True, "stream": True}


def test_with_one_rpc_per_call_answers_are_the_same_as_over_the_relay(simulated: Service) -> None:
    def answers(service: Service) -> tuple[str | None, str, int | None]:
        with OpenAI(base_url=service.url + "/v1", api_key="unused", max_retries=0) as client:
            whole = client.chat.completions.create(**HELLO)
            parts = list(client.chat.completions.create(**HELLO, stream=True))
            text = "".join(part.choices[0].delta.content or "" for part in parts)
            usage = parts[-1].usage
            return whole.choices[0].message.content, text, usage and usage.completion_tokens

    with Service(engine="simulated", simulated_rate=0, edge_transport="stream-chat") as service:
        other = answers(service)
    assert other == answers(simulated)
    assert other[0] == other[1]


def test_an_edge_that_is_killed_frees_the_engine_and_bills_what_it_carried() -> None:
    with Service(engine="simulated", simulated_rate=20, parallel=1) as service:
        with open_stream(service.url + CHAT, LONG, {"x-request-id": "carried"}) as connection:
            service.parts()["edge"].kill()
            record = service.usage_record("carried")
            received = b""
            while data := connection.recv(65536):
                received += data
        assert record["outcome"] == "cancelled"
        assert 0 < record["completion_tokens"] < 3900
        assert b"[DONE]" not in received
        service.wait_ready()
        assert post(service.url + CHAT, {**HELLO, "max_tokens": 2}).json()["usage"]["completion_tokens"] == 2


def test_of_two_edges_one_that_is_killed_takes_only_its_own_calls() -> None:
    with Service(engine="simulated", simulated_rate=20, edge_workers=2, parallel=16) as service:
        edges = [part for part in psutil.Process(service.process.pid).children() if part.cmdline()[-1] == "edge"]
        wait_until(lambda: healthy_edges(service) == 2)  # one is enough for the service to be ready
        names = [f"call-{number}" for number in range(16)]
        # All at once, so that all are far from their end when one is killed.
        with ThreadPoolExecutor(16) as pool:
            url, body = service.url + CHAT, {**LONG, "max_tokens": 100}
            connections = list(pool.map(lambda name: open_stream(url, body, {"x-request-id": name}), names))
        edges[0].kill()
        outcomes = [service.usage_record(name)["outcome"] for name in names]
        whole = [b"[DONE]" in read_all(connection) for connection in connections]
    assert [outcome == "completed" for outcome in outcomes] == whole
    assert set(outcomes) == {"completed", "cancelled"}


def healthy_edges(service: Service) -> int:
    """How many edge workers Envoy sends calls to."""
    address = service.parts()["server"].environ()["CHASQUI_SERVER_ADDRESS"].removeprefix("unix:")
    lines = admin(Path(address).with_name("envoy-admin.sock"), "/clusters").decode().splitlines()
    return sum(line.startswith("edge::") and line.endswith("::health_flags::healthy") for line in lines)


def test_a_caller_who_does_not_read_loses_the_call_and_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    model = write_gguf(tmp_path / "long.gguf", llama__context_length=1_000_000)
    with Service(engine="simulated", simulated_rate=1000, model=model, context_length=1_000_000) as service:
        silent = socket.socket()
        # What the kernel takes for a reader is bounded too.
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        silent.connect(("127.0.0.1", service.port))
        body = json.dumps({**LONG, "n": 4, "max_tokens": 200_000}).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nx-request-id: silent\r\ncontent-type: application/json\r\n"
        silent.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        served = 0
        while '"request_id":"silent"' not in service.output():
            assert post(service.url + CHAT, {**HELLO, "max_tokens": 20}).status == 200
            served += 1
        record = service.usage_record("silent")
        memory = service.parts()["edge"].memory_info().rss
        received = read_all(silent)
    assert record["outcome"] == "cancelled"
    assert 0 < record["completion_tokens"] < 800_000
    assert served > 0
    assert memory < 150 * 2**20
    assert b'"code":"slow_reader"' in received
    assert b"[DONE]" not in received


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes, or the stream is over."""
    connection.settimeout(60)
    received = bytearray()
    with connection:
        while not received.endswith(b"0\r\n\r\n"):
            data = connection.recv(65536)
            if not data:
                break
            received += data
    return bytes(received)


@pytest.mark.parametrize("stream", [False, True], ids=["unstreamed", "streamed"])
def test_a_request_of_the_largest_size_gets_through_the_relay(simulated: Service, stream: bool) -> None:
    message = {"role": "user", "content": "word " * 1_500_000}
    reply = post(simulated.url + CHAT, {**HELLO, "messages": [message], "stream": stream})
    assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")
