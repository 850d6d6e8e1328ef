"""Envoy as its image runs it: SIGTERM ends it when the running calls have ended; healthy once calls get through."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.http import open_stream, read_until
from tests.support.replicas import Replicas, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).parents[2] / "docker" / "envoy.sh"
LIMIT = 120
CHAT = "/v1/chat/completions"
BODY = {
    "model": REFERENCE_MODEL,
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": 60,
    "ignore_eos": True,
    "stream": True,
}

pytestmark = pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("perl")), reason="not run: the image's script needs bash and Perl"
)


def healthy(replicas: Replicas) -> bool:
    environ = {**os.environ, "ENVOY_ADMIN_SOCKET": f"{replicas.private}/admin.sock"}
    return subprocess.run([SCRIPT, "healthy"], env=environ, capture_output=True, check=False).returncode == 0  # noqa: S603 - ours


@pytest.fixture
def replicas() -> Iterator[Replicas]:
    with Replicas(1, simulated_rate=20, envoy_wrapper=(str(SCRIPT), "run")) as replicas:
        yield replicas
        # To kill the script would leave Envoy running.
        replicas.processes["envoy"].terminate()
        replicas.processes["envoy"].wait(LIMIT)


def test_running_calls_end_by_themselves_after_sigterm_and_then_envoy_does(replicas: Replicas) -> None:
    envoy = replicas.processes["envoy"]
    with open_stream(replicas.url + CHAT, {**BODY, "max_tokens": 4000}) as endless:
        with open_stream(replicas.url + CHAT, BODY) as running:
            envoy.terminate()
            wait_until(lambda: refused(replicas.port))
            assert "data: [DONE]" in read_until(running, "[DONE]")
        assert envoy.poll() is None
        endless.close()
    assert envoy.wait(LIMIT) == 0


def test_without_running_calls_envoy_ends_at_once_whatever_connections_there_are(replicas: Replicas) -> None:
    with socket.create_connection(("127.0.0.1", replicas.port)):
        replicas.processes["envoy"].terminate()
        assert replicas.processes["envoy"].wait(LIMIT) == 0


def test_calls_that_outlast_the_drain_are_cut_and_the_log_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVOY_DRAIN_SECONDS", "1")
    with Replicas(1, simulated_rate=1, envoy_wrapper=(str(SCRIPT), "run")) as replicas:
        with open_stream(replicas.url + CHAT, BODY):
            replicas.processes["envoy"].terminate()
            assert replicas.processes["envoy"].wait(LIMIT) == 0
        assert "calls that still run after 1 s are cut: 1" in replicas.output("envoy")


def test_envoy_is_healthy_once_calls_get_through_and_then_whatever_is_behind_it(replicas: Replicas) -> None:
    (replicas.private / "admin.sock.ready").unlink(missing_ok=True)
    replicas.stop(0)
    wait_until(lambda: replicas.serving() == 0)
    assert not healthy(replicas)
    replicas.start(0)
    wait_until(lambda: healthy(replicas))
    replicas.stop(0)
    wait_until(lambda: replicas.serving() == 0)
    assert healthy(replicas)


def test_a_file_that_envoy_s_user_cannot_read_is_named_with_that_user(tmp_path: Path) -> None:
    config = tmp_path / "envoy.yaml"
    config.write_text(f'{{"private_key": {{"filename": "{tmp_path}/tls.key"}}}}')
    command = [str(SCRIPT), "run", "envoy", "--config-path", str(config), "--disable-hot-restart"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert ended.returncode == 2
    assert f"{tmp_path}/tls.key cannot be read by user {os.getuid()}" in ended.stderr


def refused(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return False
    return True
