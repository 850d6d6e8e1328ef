"""The real edge and the real Envoy in front of a chat server that runs inside a test."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.envoy.config import EnvoyConfig, render
from services.chat.server import ChatServer
from services.settings import Settings
from services.telemetry.spans import untraced
from tests.support.http import get
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.engine.api import Engine

_START_SECONDS: Final = 180


@dataclass(frozen=True, slots=True)
class Front:
    """A running service: where it listens, the server in this process, and the others."""

    port: int
    server: ChatServer
    edge: asyncio.subprocess.Process
    envoy: asyncio.subprocess.Process

    @property
    def url(self) -> str:
        """The base of every REST path, without an end slash."""
        return f"http://127.0.0.1:{self.port}"

    async def wait_ready(self) -> None:
        """Wait until `/readyz` answers 200; TimeoutError if it never does."""
        async with asyncio.timeout(_START_SECONDS):
            while not await asyncio.to_thread(_is_ready, self.url + "/readyz"):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.02)  # what is awaited needs the processor


@asynccontextmanager
async def served(engine: Engine, directory: Path) -> AsyncIterator[str]:
    """Serve an engine; yields the base URL, without an end slash. `directory` is for sockets and has a short path."""
    async with front(engine, directory) as running:
        yield running.url


@asynccontextmanager
async def front(engine: Engine, directory: Path, **changes: object) -> AsyncIterator[Front]:
    """The same, with settings of server and edge, and everything there is to look at."""
    settings = Settings(drain_delay=0).replace(**changes)
    server_address, edge_address = f"unix:{directory}/server.sock", f"unix:{directory}/edge.sock"
    relay_address = f"unix:{directory}/relay.sock"
    port = free_port()
    config = EnvoyConfig("127.0.0.1", port, (server_address,), (edge_address,), directory / "admin.sock")
    bootstrap = directory / "envoy.yaml"
    bootstrap.write_text(render(config))
    envoy = str(Path(sys.executable).with_name("envoy"))
    addresses = ("--server-address", server_address, "--edge-address", edge_address, "--relay-address", relay_address)
    commands = (
        (sys.executable, "-m", "services", "edge", "--log-level", "error", "--drain-delay", "0", *addresses),
        (envoy, "--config-path", str(bootstrap), "--disable-hot-restart", "--log-level", "error", "--concurrency", "1"),
    )
    await engine.start()
    server = ChatServer(engine, settings, untraced())
    await server.start(server_address, relay_address)
    environ = {**os.environ, **settings.to_environ()}
    parts = [
        await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL, env=environ)
        for command in commands
    ]
    running = Front(port, server, *parts)
    try:
        await running.wait_ready()
        yield running
    finally:
        for part in parts:
            if part.returncode is None:
                part.terminate()
            await part.wait()
        await server.stop()


def _is_ready(url: str) -> bool:
    with suppress(OSError):
        return get(url).status == 200
    return False
