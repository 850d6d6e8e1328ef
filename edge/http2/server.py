"""Listens, and serves an ASGI application on every connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from edge.http2.connection import Connection

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_BACKLOG: Final = 1024


class Server:
    """An HTTP/2 server without TLS, for clients that begin with HTTP/2."""

    def __init__(self, app: ASGIApp, address: str) -> None:
        """`address` is `unix:PATH`, where a socket that a process has left behind is replaced, or `HOST:PORT`."""
        self._app = app
        self._address = address
        self._stopping = asyncio.Event()
        self._connections: set[Connection] = set()
        self._changed = asyncio.Event()

    async def serve(self) -> None:
        """Serve until `stop` is called and every connection has closed; cancelled, close them at once."""
        listener = await self._listen()
        try:
            await self._stopping.wait()
            listener.close()
            for connection in list(self._connections):
                connection.stop()
            while self._connections:
                self._changed.clear()
                await self._changed.wait()
        finally:
            listener.close()
            for connection in list(self._connections):
                connection.abort()

    def stop(self) -> None:
        """Take no more connections, and only requests that are on their way."""
        self._stopping.set()

    async def _listen(self) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if self._address.startswith("unix:"):
            path = self._address.removeprefix("unix:")
            return await loop.create_unix_server(self._connection, path, backlog=_BACKLOG)
        host, _, port = self._address.rpartition(":")
        return await loop.create_server(self._connection, host.strip("[]"), int(port), backlog=_BACKLOG)

    def _connection(self) -> Connection:
        return Connection(self._app, self._opened, self._closed)

    def _opened(self, connection: Connection) -> None:
        self._connections.add(connection)
        if self._stopping.is_set():
            connection.stop()

    def _closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._changed.set()
