"""The whole service as a user runs it: `chasqui up` in processes of its own, on a free port of the loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import grpc
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.http import get
from tests.support.ports import free_port
from tests.support.prometheus import metric

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_START_SECONDS = 180
_STOP_SECONDS = 60
_PATIENCE_SECONDS = 120  # for what is printed
# Arguments of Popen after which the service may print elsewhere, or nowhere.
_REDIRECTIONS = frozenset({"stdout", "stderr", "preexec_fn"})


class ServiceError(Exception):
    """The service ended instead of serving; the message is what it printed."""


class Service:
    """A context manager: serves inside, and is stopped with SIGINT at the end.

    `settings` are names of settings without prefix, e.g. `engine="simulated"`; draining does not wait unless asked to.
    `environ` are other variables.
    """

    def __init__(self, environ: Mapping[str, str] | None = None, **settings: object) -> None:
        self.host = "127.0.0.1"  # as callers write it
        self.port = free_port()
        given: dict[str, object] = {"port": self.port, "drain_delay": 0, "log_format": "json", **settings}
        ours = ("CHASQUI_", "GRPC_")  # of the shell, and of the process that runs the tests
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.environ = {
            **inherited,
            **(environ or {}),
            **{f"CHASQUI_{name.upper()}": str(value) for name, value in given.items()},
        }
        self._scheme = "https" if "tls_certificate" in settings else "http"
        self.started: Mapping[str, Any] = {}  # arguments of Popen that differ from the usual
        self._output = Path(tempfile.mkdtemp(prefix="chasqui-test-")) / "output"
        self.process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """The base of every REST path, without an end slash."""
        return f"{self._scheme}://{self.host}:{self.port}"

    @property
    def target(self) -> str:
        """Where gRPC clients connect to."""
        return f"{self.host}:{self.port}"

    def __enter__(self) -> Self:
        """Start, and wait until requests get through and that is announced; ServiceError if that does not happen."""
        with self._output.open("wb") as output:
            self.process = self.launched(output)
        self.wait_ready()
        # Start-up asks `/readyz` itself before its last words, and may have its 200 later than we.
        if _REDIRECTIONS.isdisjoint(self.started) and not self.prints("Chasqui serves"):
            self.process.kill()
            raise ServiceError(f"not announced: {self.output()}")
        return self

    def launched(self, output: BinaryIO) -> subprocess.Popen[bytes]:
        """Start the process of this checkout, which prints to `output`."""
        # Without the current directory in the path of imports, as the installed command is.
        command = [sys.executable, "-P", "-m", "services", "up"]
        usual = {"args": command, "env": self.environ, "stdout": output, "stderr": output}
        return subprocess.Popen(**{**usual, **self.started})

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Stop."""
        if self.process.poll() is None:
            self.stop()

    def wait_ready(self) -> None:
        """Wait until Envoy reaches the edge and the server; ServiceError if it never does."""
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise ServiceError(self.output())
            try:
                if get(self.url + "/readyz").status == 200 and self._serves_grpc():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        self.process.kill()
        raise ServiceError(f"not ready: {self.output()}")

    def _serves_grpc(self) -> bool:
        if self._scheme == "https":
            return True  # those tests bring their own certificates, and channels that wait
        with grpc.insecure_channel(self.target) as channel, suppress(grpc.RpcError):
            stub: Any = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
        return False

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and wait for the end; returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(_STOP_SECONDS)

    def parts(self) -> dict[str, psutil.Process]:
        """The processes behind the service by the last word of their command: `server`, `edge`, `envoy`."""
        parts = {}
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # it may just have ended
                words = child.cmdline()
                if words:  # and may be about to begin
                    parts["envoy" if "--config-path" in words else words[-1]] = child
        return parts

    def output(self) -> str:
        """Everything that the service printed so far."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def lines(self) -> list[str]:
        """Its lines so far, without one that is still being written."""
        return self.output().split("\n")[:-1]

    def prints(self, words: str) -> bool:
        """Whether the words are printed, now or soon: a process may print after the response that is about them."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while words not in self.output() and time.monotonic() < end:
            time.sleep(0.02)
        return words in self.output()

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels, as the server shows it to Prometheus at the set `metrics_address`."""
        return metric(self.environ["CHASQUI_METRICS_ADDRESS"], name)

    def calls(self) -> tuple[int, int]:
        """Calls that run in the engine, and calls that wait; needs a `metrics_address`, as `metric` does."""
        return int(self.metric("chasqui_calls_running")), int(self.metric("chasqui_calls_waiting"))

    def usage_record(self, request_id: str) -> dict[str, Any]:
        """The usage record of a call, from the log; waits for it."""
        return self.logged(request_id, "chat call ended")

    def logged(self, request_id: str, what: str) -> dict[str, Any]:
        """The log line that has both words in it; waits for it."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            for line in self.lines():
                if line.startswith("{") and f'"{request_id}"' in line and what in line:
                    record: dict[str, Any] = json.loads(line)
                    return record
            time.sleep(0.02)
        raise ServiceError(f"no {what} for {request_id}: {self.output()}")
