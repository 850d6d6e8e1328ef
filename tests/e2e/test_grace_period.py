"""Calls that outlast the grace period of a process that stops: they end with an error, and the process with them."""

from __future__ import annotations

import json
import signal
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from tests.support.gguf_files import write_gguf
from tests.support.http import Reply, open_call, open_stream, read_error
from tests.support.ports import free_row
from tests.support.replicas import Replicas, wait_until
from tests.support.service import Service
from tests.support.siege import answer_on

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CHAT = "/v1/chat/completions"
SETTINGS: Mapping[str, Any] = {"simulated_rate": 2, "grace_period": 1, "drain_delay": 0, "model_name": "simulated"}
BODY = {
    "model": "simulated",
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": 60,
    "ignore_eos": True,
}


def is_interrupted(stream: str, answer: Reply) -> bool:
    """Whether a streamed and an unstreamed response end as they should."""
    event = json.loads(stream.split("data: ")[-1].split("\n")[0])
    refused = (answer.status, answer.headers["x-should-retry"]) == (503, "false")
    return event == answer.json() and event["error"]["code"] == "interrupted" and refused and "[DONE]" not in stream


def test_calls_that_outlast_the_grace_period_end_with_an_error_and_the_service_with_them() -> None:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    request = chat_service_pb2.ChatRequest(model="simulated", messages=[message], max_tokens=60, ignore_eos=True)
    metrics = f"127.0.0.1:{free_row(4)}"
    with (
        Service(engine="simulated", metrics_address=metrics, **SETTINGS) as service,
        grpc.insecure_channel(service.target) as channel,
    ):
        rpc: Any = chat_service_pb2_grpc.ChatServiceStub(channel).Chat.future(request, timeout=60)
        whole = open_call(service.url + CHAT, BODY)
        stream = open_stream(service.url + CHAT, {**BODY, "stream": True}, {"x-request-id": "streamed"})
        wait_until(lambda: service.calls() == (3, 0))
        service.process.send_signal(signal.SIGTERM)
        received, answer = read_error(stream), answer_on(whole)
        for connection in (stream, whole):
            connection.close()
        assert rpc.exception().code() is grpc.StatusCode.UNAVAILABLE
        assert rpc.exception().details() == "The service has shut down before the answer was complete."
        assert service.process.wait(120) == 0
        assert "is killed" not in service.output()
        # Its tokens were counted all the same.
        assert service.usage_record("streamed")["completion_tokens"] > 0
    assert is_interrupted(received, answer)


@pytest.mark.parametrize("transport", ["relay", "stream-chat"])
def test_an_edge_worker_that_stops_alone_ends_its_calls_with_an_error_on_either_transport(transport: str) -> None:
    with (
        Replicas(1, server_metrics=True, edge_transport=transport, **SETTINGS) as replicas,
        ExitStack() as connections,
    ):
        stream = connections.enter_context(open_stream(replicas.url + CHAT, {**BODY, "stream": True}))
        whole = connections.enter_context(open_call(replicas.url + CHAT, BODY))
        wait_until(lambda: replicas.running(0) == 2)
        replicas.processes["edge-0"].terminate()
        assert is_interrupted(read_error(stream), answer_on(whole))
        assert replicas.processes["edge-0"].wait(120) == 0


def test_a_client_that_reads_nothing_does_not_keep_an_edge_worker_from_ending(tmp_path: Path) -> None:
    # An answer of some 20 MB, more than all buffers on its way to the client hold.
    long: dict[str, Any] = {"llama__context_length": 30_100, "tokenizer__chat_template": "{{ messages[0].content }}"}
    model = write_gguf(tmp_path / "long.gguf", words=[letter * 4000 for letter in "cdefghijklmnopqrstuvwxyz"], **long)
    fast = {**SETTINGS, "simulated_rate": 0, "grace_period": 0.1, "context_length": 30_100, "model": model}
    with Replicas(1, server_metrics=True, **fast) as replicas:
        with open_call(replicas.url + CHAT, {**BODY, "stream": True, "max_tokens": 30_000}) as unread:
            unread.recv(1, socket.MSG_PEEK)
            wait_until(lambda: replicas.running(0) == 0)
            replicas.processes["edge-0"].terminate()
            assert replicas.processes["edge-0"].wait(120) == 0
