"""Replicas behind one Envoy, each part a command of its own, as an operator runs them who restarts one at a time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.support.http import get
from tests.support.ports import free_port
from tests.support.prometheus import metric
from tests.support.service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_PATIENCE = 180.0
_CHASQUI = (sys.executable, "-m", "services")


class Replicas:
    """A context manager: `count` replicas serve inside, each with a chat server and an edge worker.

    `settings` are names of settings without prefix, for all parts; `envoy_changes` replace texts in Envoy's
    configuration, for what no setting changes: the lengths of its timeouts, mostly. `envoy_wrapper` are words before
    its command. With `server_metrics` the chat servers show how many calls they run.
    """

    def __init__(
        self,
        count: int = 1,
        *,
        envoy_changes: Mapping[str, str] | None = None,
        envoy_wrapper: Sequence[str] = (),
        server_metrics: bool = False,
        **settings: object,
    ) -> None:
        self.port = free_port()
        self._count = count
        self._metrics = [f"127.0.0.1:{free_port()}" for _ in range(count)] if server_metrics else []
        self._changes = dict(envoy_changes or {})
        self._wrapper = envoy_wrapper
        self._stack = ExitStack()
        # Sockets have short paths.
        self.private = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="chasqui-")))
        self._settings = {"engine": "simulated", "log_format": "json", "log_level": "info", **settings}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """The base of every REST path, without an end slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def target(self) -> str:
        """Where gRPC clients connect to."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        """Start everything, and wait until each replica gets calls."""
        try:
            for index in range(self._count):
                self.start(index)
            self._start_envoy()
            # Envoy listens when it has checked every one of its clusters, which may be after those that are counted.
            wait_until(lambda: self.serving() == self._count and self.answers())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what still runs."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        self._stack.close()

    def start(self, index: int) -> None:
        """Start a replica's parts."""
        metrics = {"CHASQUI_METRICS_ADDRESS": self._metrics[index]} if self._metrics else {}
        self._run(f"server-{index}", self._environ(index) | metrics, *_CHASQUI, "server")
        self._run(f"edge-{index}", self._environ(index), *_CHASQUI, "edge")

    def stop(self, index: int) -> list[int]:
        """Send a replica's parts SIGTERM, both at once, and wait; their exit statuses."""
        parts = [self.processes[f"server-{index}"], self.processes[f"edge-{index}"]]
        for part in parts:
            part.send_signal(signal.SIGTERM)
        return [part.wait(_PATIENCE) for part in parts]

    def serving(self) -> int:
        """How many replicas Envoy sends calls to, REST and gRPC."""
        try:
            lines = self.admin("/clusters").decode().splitlines()
        except OSError:
            return 0
        well = [line.split("::")[0] for line in lines if line.endswith("::health_flags::healthy")]
        return min(well.count("edge"), well.count("chat_server"))

    def answered(self, index: int) -> int:
        """How many answers to REST calls a replica has given: what its chat server sent, and its edge."""
        lines = self.output(f"edge-{index}").splitlines()
        return sum('"request answered"' in line and '"status":200' in line for line in lines)

    def running(self, index: int) -> int:
        """How many calls a replica's engine runs; needs `server_metrics`."""
        return int(metric(self._metrics[index], "chasqui_calls_running"))

    def admin(self, path: str) -> bytes:
        """What Envoy's admin interface answers."""
        return admin(self.private / "admin.sock", path)

    def output(self, part: str) -> str:
        """Everything that a part, as `server-0` or `envoy`, has printed in all of its lives."""
        return (self.private / f"{part}.log").read_text(encoding="utf-8", errors="replace")

    def answers(self, path: str = "/readyz") -> bool:
        """Whether a path answers 200 on the public port."""
        try:
            return get(self.url + path).status == 200
        except OSError:
            return False

    def _environ(self, index: int) -> dict[str, str]:
        """The variables of a replica's parts."""
        given: dict[str, object] = {
            **self._settings,
            **self._listening(index),
            "relay_address": f"unix:{self.private}/relay-{index}.sock",
        }
        return _variables(given)

    def _listening(self, index: int) -> dict[str, str]:
        """The settings that say where a replica's parts listen."""
        return {
            "server_address": f"unix:{self.private}/server-{index}.sock",
            "edge_address": f"unix:{self.private}/edge-{index}.sock",
        }

    def _found(self) -> dict[str, str]:
        """The settings that say where Envoy finds all of them."""
        each = [self._listening(index) for index in range(self._count)]
        return {name: ",".join(addresses[name] for addresses in each) for name in ("server_address", "edge_address")}

    def _start_envoy(self) -> None:
        given: dict[str, object] = {**self._settings, "port": self.port, **self._found()}
        made = subprocess.run(  # noqa: S603 - our own command
            [*_CHASQUI, "envoy-config"], env=_variables(given), stdout=subprocess.PIPE, timeout=_PATIENCE, check=True
        )
        text = made.stdout.decode()
        # The path belongs to a container's own file system, and this machine may have several.
        for old, new in {"/tmp/envoy-admin.sock": f"{self.private}/admin.sock", **self._changes}.items():  # noqa: S108
            if old not in text:
                raise ServiceError(f"Envoy's configuration has no {old!r}")
            text = text.replace(old, new)
        bootstrap = self.private / "envoy.yaml"
        bootstrap.write_text(text)
        envoy = str(Path(sys.executable).with_name("envoy"))
        options = ("--disable-hot-restart", "--concurrency", "1", "--log-level", "error")
        command = (envoy, "--config-path", str(bootstrap), *options, "--file-flush-interval-msec", "50")
        environ = {**os.environ, "ENVOY_ADMIN_SOCKET": f"{self.private}/admin.sock"}
        self._run("envoy", environ, *self._wrapper, *command)

    def _run(self, part: str, environ: Mapping[str, str], *command: str) -> None:
        with (self.private / f"{part}.log").open("ab") as output:
            self.processes[part] = subprocess.Popen(command, env=environ, stdout=output, stderr=output)  # noqa: S603 - ours


def admin(address: Path, path: str) -> bytes:
    """What the admin interface of an Envoy answers that listens at a socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        connection.connect(str(address))
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n".encode())
        answer: HTTPResponse = HTTPConnection("admin").response_class(connection)
        answer.begin()
        return answer.read()


def wait_until(condition: Callable[[], object]) -> None:
    """Look again and again; ServiceError when patience ends."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise ServiceError(f"waited for {_PATIENCE:.0f} s")
        time.sleep(0.01)


def _variables(settings: Mapping[str, object]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHASQUI_")}
    return {**inherited, **{f"CHASQUI_{name.upper()}": str(value) for name, value in settings.items()}}
