"""Runs chat server, edge workers and Envoy as one service, and stops them in order."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import TYPE_CHECKING

import click

from edge.envoy.config import EnvoyConfig, render
from edge.envoy.telemetry import collector
from edge.envoy.tls import check_files, tls
from services.batches.factory import has_batches
from services.garbage import spare_startup
from services.settings import SettingsError
from services.stop_signals import on_stop_signal
from services.tasks import awaited_task, background_task
from services.up.addresses import check_public_port, edge_addresses, metrics_address
from services.up.announcement import announce
from services.up.child_process import ChildError, ChildProcess, Command
from services.up.envoy_process import ADMIN_SOCKET, EnvoyProcess
from services.up.notification import notify
from services.up.private_directory import PrivateDirectory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.settings import Settings

log = logging.getLogger(__name__)

# Beyond the time that processes take to drain by themselves.
_STOP_MARGIN = 5.0


async def run(settings: Settings) -> int:
    """Serve until a stop signal and return the exit status; SettingsError if the public port is not available."""
    check_public_port(settings.host, settings.port)
    private = PrivateDirectory(os.environ)
    try:
        service = Service(settings, private)
        spare_startup()
        try:
            return await service.run()
        except ChildError as error:
            if str(error):
                click.echo(f"chasqui: {error}", err=True)
            return error.status
        finally:
            notify("STOPPING=1")
            await service.stop()
    finally:
        private.remove()


class Service:
    """The processes of one replica, with their sockets in the directory `private` unless the settings place them."""

    def __init__(self, settings: Settings, private: PrivateDirectory) -> None:
        """SettingsError if an address is malformed, there is no Envoy, or a certificate cannot be used."""
        server_address = settings.server_address or f"unix:{private.path}/server.sock"
        relay_address = settings.relay_address or f"unix:{private.path}/relay.sock"
        self._settings = settings.replace(server_address=server_address, relay_address=relay_address)
        self._private = private
        self._drain_seconds = settings.drain_delay + settings.grace_period + _STOP_MARGIN
        self._server = self._child("chat server", "server", self._settings, (server_address, relay_address))
        addresses = edge_addresses(settings, private.path)
        self._edges = [self._edge(index, address) for index, address in enumerate(addresses)]
        self._batches = [self._runner()] if has_batches(settings) else []
        bootstrap = _bootstrap(self._settings, addresses, private)
        self._envoy = EnvoyProcess(settings, private, bootstrap, _STOP_MARGIN)

    @property
    def _processes(self) -> Sequence[ChildProcess]:
        return (self._server, *self._edges, *self._batches, self._envoy)

    async def run(self) -> int:
        """Start all processes and keep them running until a signal; ChildError if one cannot be kept running."""
        stop = asyncio.Event()
        on_stop_signal(lambda: self._on_signal(stop))
        tasks = [awaited_task(process.keep_running(), process.name) for process in self._processes]
        announcement = announce(self._settings, (*self._edges, self._envoy), self._server)
        announcing = background_task(announcement, "announcement of readiness")
        stopping = background_task(stop.wait(), "stop signal")
        try:
            await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            announcing.cancel()
            stopping.cancel()
        for task in tasks:
            if task.done():
                task.result()
        return 0

    async def stop(self) -> None:
        """Drain server and edges together; then no new connection is taken, and Envoy ends with its last response."""
        backends = asyncio.gather(*(process.stop() for process in (self._server, *self._edges, *self._batches)))
        await asyncio.wait([backends], timeout=self._settings.drain_delay)
        await self._envoy.refuse_connections()
        await backends
        await self._envoy.finish(_STOP_MARGIN)

    def _child(self, name: str, command: str, settings: Settings, addresses: Sequence[str]) -> ChildProcess:
        # -P: what lies in the current directory is not imported, whatever its name.
        arguments = (sys.executable, "-P", "-m", "services", command)
        started = Command(arguments, addresses, self._private.prepare, settings.to_environ())
        return ChildProcess(name, started, self._drain_seconds)

    def _edge(self, index: int, address: str) -> ChildProcess:
        metrics = metrics_address(self._settings, 1 + index)
        settings = self._settings.replace(edge_address=address, metrics_address=metrics)
        return self._child(f"edge {index}", "edge", settings, (address,))

    def _runner(self) -> ChildProcess:
        metrics = metrics_address(self._settings, 2 + self._settings.edge_workers)
        return self._child("batch runner", "batch-runner", self._settings.replace(metrics_address=metrics), ())

    def _on_signal(self, stop: asyncio.Event) -> None:
        """The first signal drains; a second one kills."""
        if stop.is_set():
            for process in self._processes:
                process.kill()
        stop.set()


def _bootstrap(settings: Settings, edges: Sequence[str], private: PrivateDirectory) -> str:
    public_tls = tls(settings)
    if public_tls is not None:
        check_files(public_tls)
    config = EnvoyConfig(
        host=settings.host,
        port=settings.port,
        server_addresses=(settings.server_address,),
        edge_addresses=tuple(edges),
        admin_socket=private.path / ADMIN_SOCKET,
        metrics_address=metrics_address(settings, 1 + len(edges)),
        collector=collector(os.environ, trusts_callers=settings.trust_traceparent),
        tls=public_tls,
        cors_origins=settings.cors_origins,
    )
    try:
        return render(config)
    except ValueError as error:
        raise SettingsError(str(error)) from error
