"""`chasqui up` as an operator meets it: refusals in one sentence, restarts, stops that leave nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.support.http import get, open_call, open_stream, post, read_error, read_until
from tests.support.ports import free_port
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SETTINGS: dict[str, Any] = {"engine": "simulated", "simulated_rate": 200, "model_name": "simulated"}
BODY = {
    "model": "simulated",
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": 60,
    "ignore_eos": True,
}
CHAT = "/v1/chat/completions"


def chasqui(*arguments: str, **settings: str) -> tuple[int, str]:
    """Run a command that is expected to refuse; its exit status and what it said."""
    clean: Mapping[str, str] = {name: value for name, value in os.environ.items() if not name.startswith("CHASQUI_")}
    given = {f"CHASQUI_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "services", *arguments]
    done = subprocess.run(  # noqa: S603 - our own command
        command, env={**clean, "CHASQUI_PORT": str(free_port()), **given}, capture_output=True, timeout=60, check=False
    )
    return done.returncode, done.stderr.decode()


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def test_a_port_in_use_is_one_sentence_and_status_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, said = chasqui("up", port=str(port))
    assert status == 2
    assert said == f"chasqui: Port {port} on 127.0.0.1 is in use; choose another with CHASQUI_PORT.\n"


@pytest.mark.parametrize("model", ["missing.gguf", "/nowhere/model.gguf"])
def test_a_missing_model_file_is_one_sentence_and_status_2(model: str) -> None:
    status, said = chasqui("up", model=model)
    assert status == 2
    assert f"chasqui: There is no model file {model}." in said
    assert "Traceback" not in said


def test_a_file_that_is_no_gguf_is_one_sentence_and_status_2(tmp_path: Path) -> None:
    text = tmp_path / "model.gguf"
    text.write_text("not a model")
    status, said = chasqui("up", model=str(text))
    assert status == 2
    assert f"chasqui: {text} is not a GGUF file." in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("prot", "1", "CHASQUI_PROT is no setting of Chasqui; `chasqui up --help` lists them."),
        ("port", "http", "CHASQUI_PORT is 'http', but must be a whole number from 1 to 65,535."),
        ("engine", "gpt", "CHASQUI_ENGINE is 'gpt', but must be one of llama-cpp, tensorrt-llm, simulated."),
        ("host", "localhost", "CHASQUI_HOST is 'localhost', but must be an IP address, as 127.0.0.1 or 0.0.0.0."),
        ("server_address", "nowhere", "'nowhere' is no address: it must be unix:PATH or HOST:PORT."),
        (
            "edge_address",
            "a:1,b:2",
            "CHASQUI_EDGE_ADDRESS is 'a:1,b:2', but must be one address: only Envoy takes several.",
        ),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_it(name: str, value: str, expected: str) -> None:
    assert chasqui("up", **{name: value}) == (2, f"chasqui: {expected}\n")


def test_a_part_alone_says_which_addresses_it_needs() -> None:
    status, said = chasqui("server")
    assert status == 2
    assert "--server-address" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_every_part_and_leaves_nothing_behind(number: signal.Signals) -> None:
    with Service(**SETTINGS) as service:
        parts = list(service.parts().values())
        private = Path(parts[0].environ()["CHASQUI_SERVER_ADDRESS"].removeprefix("unix:")).parent
        assert private.stat().st_mode & 0o777 == 0o700
        assert service.stop(number) == 0
        assert psutil.wait_procs(parts, timeout=0)[1] == []
        assert not private.exists()
        with pytest.raises(ConnectionRefusedError):
            get(service.url)


def test_a_stream_that_runs_is_finished_before_the_service_stops() -> None:
    with Service(**{**SETTINGS, "simulated_rate": 40}) as service:
        with open_stream(service.url + CHAT, {**BODY, "stream": True}) as connection:
            service.process.send_signal(signal.SIGTERM)
            assert "data: [DONE]" in read_until(connection, "[DONE]")
        assert service.process.wait(60) == 0


def test_a_second_signal_does_not_wait_for_running_calls() -> None:
    with Service(**{**SETTINGS, "simulated_rate": 2}) as service:
        connection = open_stream(service.url + CHAT, {**BODY, "stream": True})
        service.process.send_signal(signal.SIGINT)
        # The first signal has been taken when the parts say that they drain.
        while "draining" not in service.output():
            time.sleep(0.01)
        service.process.send_signal(signal.SIGINT)
        service.process.wait(60)
        connection.close()
        assert "grace period" not in service.output()


@pytest.mark.parametrize("part", ["server", "edge", "envoy"])
def test_a_part_that_is_killed_is_started_again(part: str) -> None:
    with Service(**SETTINGS) as service:
        before = service.parts()[part]
        before.kill()
        before.wait(60)
        while service.parts().get(part, before) == before:
            time.sleep(0.02)
        service.wait_ready()
        assert post(service.url + CHAT, BODY).json()["usage"]["completion_tokens"] == 60


def test_a_server_that_dies_ends_its_streams_with_an_error_event() -> None:
    with Service(**{**SETTINGS, "simulated_rate": 5}) as service:
        with open_stream(service.url + CHAT, {**BODY, "stream": True}) as connection:
            service.parts()["server"].kill()
            received = read_error(connection)
        assert "[DONE]" not in received
        event = received.split("data: ")[-1].split("\n")[0]
        assert json.loads(event)["error"]["type"] == "server_error"


def test_what_a_server_that_died_had_delivered_is_in_the_edges_log_call_by_call() -> None:
    with Service(**{**SETTINGS, "simulated_rate": 50}) as service:
        long = {**BODY, "max_tokens": 3000}
        streams = [
            open_stream(service.url + CHAT, {**long, "stream": True}, {"x-request-id": f"lost-{i}"}) for i in "ab"
        ]
        whole = open_call(service.url + CHAT, long, {"x-request-id": "lost-whole"})
        post(service.url + CHAT, {**BODY, "max_tokens": 5}, x_request_id="settled")
        service.parts()["server"].kill()
        received = [read_until(connection, '"error"') for connection in streams]
        assert read_until(whole, "error")
        for connection in (*streams, whole):
            connection.close()
        while len(lines := [line for line in service.lines() if "chat call lost" in line]) < 3:
            time.sleep(0.01)
    logged = {line["request_id"]: line for line in map(json.loads, lines)}
    assert set(logged) == {"lost-a", "lost-b", "lost-whole"}
    for name in ("lost-a", "lost-b"):
        assert 0 < logged[name]["completion_tokens"] < 3000
        assert logged[name]["characters"] > 0
    assert (logged["lost-whole"]["completion_tokens"], logged["lost-whole"]["characters"]) == (0, 0)
    assert all("[DONE]" not in text for text in received)


@contextmanager
def without_server(service: Service) -> Iterator[None]:
    """The chat server is dead, and its supervisor too busy to notice."""
    service.process.send_signal(signal.SIGSTOP)
    try:
        service.parts()["server"].kill()
        yield
    finally:
        service.process.send_signal(signal.SIGCONT)


def test_without_its_server_the_edge_answers_503_with_a_hint_when_to_retry() -> None:
    with Service(**SETTINGS) as service, without_server(service):
        reply = post(service.url + CHAT, BODY)
        assert (reply.status, reply.error["type"]) == (503, "server_error")
        assert int(reply.headers["retry-after"]) >= 1


def test_the_page_is_there_while_the_server_is_not_and_is_told_why() -> None:
    with Service(**SETTINGS) as service:
        assert service.output().index(f"open {service.url}") < service.output().index("✓ chat server")
        with without_server(service):
            while (ready := get(service.url + "/web/readyz")).status == 200:
                time.sleep(0.01)
            assert ready.error["code"] == "not_ready"
            assert get(service.url + "/").status == 200


def test_the_supervisor_does_not_load_grpc_whose_handlers_of_a_fork_can_abort_its_children(simulated: Service) -> None:
    if sys.platform != "linux":
        pytest.skip("psutil has the libraries of another process on Linux alone")
    libraries = {
        part: {Path(file.path).name for file in process.memory_maps()}
        for part, process in [
            ("supervisor", psutil.Process(simulated.process.pid)),
            ("server", simulated.parts()["server"]),
        ]
    }
    loads_grpc = {part for part, names in libraries.items() if any("cygrpc" in name for name in names)}
    assert loads_grpc == {"server"}


def test_parts_do_not_outlive_a_supervisor_that_is_killed() -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux signals children at their parent's death")
    with Service(**SETTINGS) as service:
        parts = list(service.parts().values())
        service.process.kill()
        service.process.wait(60)
        assert psutil.wait_procs(parts, timeout=30)[1] == []


def test_several_edge_workers_share_the_calls() -> None:
    with Service(**SETTINGS, edge_workers=2) as service:
        edges = [child for child in psutil.Process(service.process.pid).children() if child.cmdline()[-1] == "edge"]
        assert len(edges) == 2
        addresses = {edge.environ()["CHASQUI_EDGE_ADDRESS"] for edge in edges}
        assert len(addresses) == 2
        for _ in range(6):
            assert post(service.url + CHAT, {**BODY, "max_tokens": 1}).status == 200
