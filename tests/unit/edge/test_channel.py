"""Connections to a chat server that is busy, and accepts them late."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from edge.http.call_options import CallOptions
from edge.upstream.client import Upstream
from tests.support.chat_server import running_chat_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LATE = 1.0  # seconds


@asynccontextmanager
async def closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Close the connection at the end."""
    try:
        yield
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def late(address: str, folder: Path) -> AsyncIterator[tuple[str, list[asyncio.Task[None]]]]:
    """An address in front of another, where connections wait; and the connections, in the order they came."""
    path = str(folder / "late.sock")
    connections: list[asyncio.Task[None]] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with closing(writer):
            await asyncio.sleep(LATE)
            own_reader, own_writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
            async with closing(own_writer):
                await asyncio.gather(pass_on(reader, own_writer), pass_on(own_reader, writer))

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.create_task(carry(reader, writer)))

    async with await asyncio.start_unix_server(connected, path):
        yield f"unix:{path}", connections
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


@pytest.mark.parametrize("transport", ["relay", "stream-chat"])
async def test_an_edge_waits_for_a_chat_server_that_accepts_late(tmp_path: Path, transport: str) -> None:
    async with running_chat_server(tmp_path) as server, late(server.address, tmp_path) as (address, connections):
        upstream = Upstream(address, address if transport == "relay" else "")
        running = asyncio.create_task(upstream.transport.run())
        try:
            models = await upstream.list_models(CallOptions(()))
            assert models.models
            while not upstream.transport.connected:  # noqa: ASYNC110 - no event to wait for
                await asyncio.sleep(0.01)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await upstream.close()
    assert len(connections) == 1, "gRPC shares a connection, and gave none up"
