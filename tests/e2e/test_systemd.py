"""The unit file: valid to systemd, and a service that starts, reloads and stops where systemd puts it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from services.settings import Settings
from tests.support.http import open_stream, post, read_until
from tests.support.ports import free_port
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

UNIT = Path(__file__).parents[2] / "docker" / "systemd" / "chasqui.service"
LINES = UNIT.read_text(encoding="utf-8").splitlines()
CHAT = "/v1/chat/completions"
BODY = {
    "model": "simulated",
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": 60,
    "ignore_eos": True,
}
# In a mount namespace of its own the process has an empty /tmp, as with PrivateTmp=yes.
PRIVATE_TMP = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /tmp && exec "$@"', "sh")


def value(name: str) -> str:
    """What the unit file sets."""
    [found] = [line.partition("=")[2] for line in LINES if line.startswith(f"{name}=")]
    return found


def may_mount() -> bool:
    """Whether this user may give a process a /tmp of its own."""
    return shutil.which("unshare") is not None and subprocess.run([*PRIVATE_TMP, "true"], check=False).returncode == 0  # noqa: S603 - constant


@contextmanager
def under_systemd(port: int) -> Iterator[tuple[Service, socket.socket]]:
    """The service with what systemd gives it, and the socket of its notifications."""
    runtime = Path(tempfile.mkdtemp(prefix="chasqui-test-run-", dir="/run" if os.access("/run", os.W_OK) else None))
    notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal, output = socket.socketpair()
    with notifications, journal, output:
        notifications.bind(f"\0chasqui-test-{os.getpid()}")
        notifications.settimeout(60)
        settings = {"ENGINE": "simulated", "SIMULATED_RATE": "40", "MODEL_NAME": "simulated", "PORT": str(port)}
        service = Service()
        service.port = port
        # A checkout under /tmp would be gone with it.
        private_tmp = may_mount() and not UNIT.resolve().is_relative_to("/tmp")  # noqa: S108 - nothing is written there
        service.started = {
            "args": [*(PRIVATE_TMP if private_tmp else ()), sys.executable, "-P", "-m", "services", "up"],
            "env": {
                **{f"CHASQUI_{name}": text for name, text in settings.items()},
                "LANG": "C.UTF-8",
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
                "NOTIFY_SOCKET": f"@chasqui-test-{os.getpid()}",
                "RUNTIME_DIRECTORY": str(runtime),
            },
            "stdin": subprocess.DEVNULL,
            "stdout": output,
            "stderr": output,
            "cwd": "/",
        }
        with service:
            yield service, notifications
    assert list(runtime.iterdir()) == []
    runtime.rmdir()


@pytest.mark.parametrize("reason", ["reload", "stop"])
def test_it_starts_and_drains_at_a_reload_and_a_stop(reason: str) -> None:
    with under_systemd(free_port()) as (service, notifications):
        assert notifications.recv(64) == b"READY=1"
        assert post(service.url + CHAT, BODY).status == 200
        name = re.fullmatch(r"/bin/kill -(\w+) \$MAINPID", value("ExecReload"))
        assert name is not None
        number = signal.Signals[f"SIG{name[1]}"] if reason == "reload" else signal.SIGTERM
        with open_stream(service.url + CHAT, {**BODY, "stream": True}) as connection:
            service.process.send_signal(number)
            assert "data: [DONE]" in read_until(connection, "[DONE]")
        assert notifications.recv(64) == b"STOPPING=1"
        # Restart=always starts it again after a reload; a stop is systemd's own.
        assert service.process.wait(60) == 0
    assert value("Restart") == "always"


def test_a_stop_has_the_time_that_a_drain_may_take() -> None:
    settings = Settings()
    assert int(value("TimeoutStopSec")) >= settings.drain_delay + settings.grace_period + 15
    assert value("KillMode") == "mixed"
    assert value("RestartPreventExitStatus") == "2"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="not run: there is no systemd-analyze")
def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(value("ExecStart").split()[0], sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)  # noqa: S603, S607 - constant
    assert [line for line in done.stderr.splitlines() if UNIT.name in line] == []
    assert done.returncode == 0
