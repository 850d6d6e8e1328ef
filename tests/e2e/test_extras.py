"""Each extra alone is enough for what it is for: started in an environment that holds its packages and no others."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.extras import ROOT, Environment
from tests.support.replicas import wait_until
from tests.support.tensorrt_llm.modes import HOPPER, install_gpus
from tests.support.tensorrt_llm.release import write_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PATIENCE = 180
CHASQUI = ("-m", "services")
CHAT = """
import sys, grpc
from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc, model_service_pb2, model_service_pb2_grpc
with grpc.insecure_channel(sys.argv[1]) as channel:
    model = model_service_pb2_grpc.ModelServiceStub(channel).ListModels(model_service_pb2.ListModelsRequest()).models[0]
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    request = chat_service_pb2.ChatRequest(model=model.id, messages=[message], max_tokens=3)
    print(chat_service_pb2_grpc.ChatServiceStub(channel).Chat(request).usage.completion_tokens)
"""


def environment(folder: Path, *extras: str, beside: tuple[str, ...] = ()) -> Environment:
    folder.mkdir()
    return Environment(folder, *extras, beside=beside)


def run(environment: Environment, *words: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = environment.command(*words)
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603 - ours


@contextmanager
def serving(
    environment: Environment, part: str, command: tuple[str, ...] = CHASQUI, **settings: object
) -> Iterator[None]:
    """A part that runs in an environment, from its first line of log that says so."""
    log = environment.folder.parent / f"{part}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            environment.command(*command, part), env=environment.environ(**settings), stdout=output, stderr=output
        )
    try:
        wait_until(lambda: '"serving"' in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        status = process.wait(PATIENCE)
    assert status == 0, log.read_text()


@pytest.mark.parametrize(("extra", "engine"), [("server", "simulated"), ("llama-cpp", "llama-cpp")])
def test_the_server_answers_a_client_that_has_the_stubs_alone(tmp_path: Path, extra: str, engine: str) -> None:
    server, client = environment(tmp_path / "server", extra), environment(tmp_path / "client")
    address = f"unix:{tmp_path}/s"
    with serving(server, "server", engine=engine, server_address=address, drain_delay=0):
        answer = run(client, "-c", CHAT, address, environ=client.environ())
        assert (answer.stdout, answer.stderr) == ("3\n", "")
        assert run(server, *CHASQUI, "probe", environ=server.environ(server_address=address)).returncode == 0


def test_an_edge_worker_serves_and_writes_envoy_s_configuration(tmp_path: Path) -> None:
    edge = environment(tmp_path / "edge", "edge")
    settings: dict[str, Any] = {
        "server_address": f"unix:{tmp_path}/s",
        "relay_address": f"unix:{tmp_path}/r",
        "edge_address": f"unix:{tmp_path}/e",
        "drain_delay": 0,
    }
    with serving(edge, "edge", **settings):
        pass
    written = run(edge, *CHASQUI, "envoy-config", environ=edge.environ(**settings))
    assert (written.returncode, "static_resources:" in written.stdout) == (0, True), written.stderr


def test_the_server_for_tensorrt_llm_needs_nothing_but_tensorrt_llm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_gpus(monkeypatch, tmp_path, HOPPER)
    # Of what NVIDIA's image has, the double of tensorrt_llm needs pydantic.
    server = environment(tmp_path / "server", "tensorrt-llm", beside=("pydantic",))
    client = environment(tmp_path / "client")
    (server.folder / "tests").symlink_to(ROOT / "tests")
    command = ("-m", "tests.support.tensorrt_llm.command")
    address = f"unix:{tmp_path}/s"
    model = write_checkpoint(tmp_path / "model")
    settings = {"engine": "tensorrt-llm", "server_address": address, "model": model, "drain_delay": 0}
    with serving(server, "server", command, **settings):
        assert run(client, "-c", CHAT, address, environ=client.environ()).stdout == "3\n"
