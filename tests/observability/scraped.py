"""A replica whose parts show their metrics, each part a process that a test can do things to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.support.ports import free_row
from tests.support.replicas import Replicas

if TYPE_CHECKING:
    from collections.abc import Sequence


class ScrapedReplica(Replicas):
    """One replica; `server` are the words for Python that run its chat server. With accounts it runs batches, too."""

    def __init__(self, server: Sequence[str] = ("-m", "services", "server"), **settings: object) -> None:
        self._first = free_row(4)
        self._runs_batches = "accounts" in settings
        self._server = (sys.executable, *server)
        settings["metrics_address"] = f"127.0.0.1:{self._first + 2}"  # Envoy's
        super().__init__(1, envoy_changes=None, envoy_wrapper=(), server_metrics=False, **settings)

    @property
    def targets(self) -> dict[str, list[str]]:
        """Where each job finds its metrics."""
        jobs = ("chasqui-server", "chasqui-edge", "chasqui-envoy", "chasqui-batches")[: 3 + self._runs_batches]
        return {job: [f"127.0.0.1:{self._first + number}"] for number, job in enumerate(jobs)}

    def start(self, index: int) -> None:
        """Start all parts."""
        self.start_server()
        self._run("edge-0", self._environ_of(1), sys.executable, "-m", "services", "edge")
        if self._runs_batches:
            self._run("batches-0", self._environ_of(3), sys.executable, "-m", "services", "batch-runner")

    def start_server(self) -> None:
        """Start the chat server."""
        self._run("server-0", self._environ_of(0), *self._server)

    def _environ_of(self, part: int) -> dict[str, str]:
        """Each part has an address of its own for its metrics."""
        return {**self._environ(0), "CHASQUI_METRICS_ADDRESS": f"127.0.0.1:{self._first + part}"}
