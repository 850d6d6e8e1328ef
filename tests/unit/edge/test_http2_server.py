"""The HTTP/2 server on real sockets: addresses, several connections, a stop, and clients that do not read."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import h2.events
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from hyperframe.frame import PingFrame

from edge.http2.server import Server
from tests.support.http2 import echo, part, start
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send


@asynccontextmanager
async def serving(app: ASGIApp, address: str) -> AsyncIterator[tuple[Server, asyncio.Task[None]]]:
    """Serve `app`, from the moment that it can be reached."""
    server = Server(app, address)
    task = asyncio.ensure_future(server.serve())
    while not task.done():
        try:
            _, writer = await connect(address)
        except OSError:
            await asyncio.sleep(0.001)
        else:
            writer.close()
            await writer.wait_closed()
            break
    try:
        yield server, task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to `unix:PATH` or `HOST:PORT`."""
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def exchange(address: str, body: bytes) -> bytes:
    """The body of the response to a request, on a connection of its own."""
    reader, writer = await connect(address)
    client = H2Connection(H2Configuration())
    client.initiate_connection()
    client.send_headers(1, [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")])
    client.send_data(1, body, end_stream=True)
    received, ended = b"", False
    while not ended:
        writer.write(client.data_to_send())
        for event in client.receive_data(await reader.read(65_536)):
            if isinstance(event, h2.events.DataReceived):
                received += event.data
            ended = ended or isinstance(event, h2.events.StreamEnded)
    writer.close()
    await writer.wait_closed()
    return received


@pytest.mark.parametrize("kind", ["unix", "port"])
async def test_it_serves_several_connections_at_its_address(kind: str, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s" if kind == "unix" else f"127.0.0.1:{free_port()}"
    async with serving(echo, address):
        bodies = [b"a" * 10_000, b"b" * 10_000, b""]
        assert await asyncio.gather(*(exchange(address, body) for body in bodies)) == bodies


async def test_a_socket_that_a_process_has_left_behind_is_replaced(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(f"{tmp_path}/s")
    left.close()
    async with serving(echo, f"unix:{tmp_path}/s"):
        assert await exchange(f"unix:{tmp_path}/s", b"a") == b"a"


async def test_an_address_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(OSError, match="in use"):
            await Server(echo, f"127.0.0.1:{taken.getsockname()[1]}").serve()


async def test_it_ends_when_it_is_stopped_and_takes_no_connection_then(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s"
    async with serving(echo, address) as (server, task):
        reader, writer = await connect(address)
        client = H2Connection(H2Configuration())
        client.initiate_connection()
        writer.write(client.data_to_send())
        received = await reader.read(1)
        server.stop()
        while b"stopping" not in received:
            received += await reader.read(65_536)
        assert not task.done()
        writer.write(PingFrame(0, b"stopping", flags=["ACK"]).serialize())
        await task
        await reader.read()
        writer.close()
        await writer.wait_closed()
        with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
            await connect(address)


async def test_a_client_that_does_not_read_keeps_nobody_waiting_who_cancels_it(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s"
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(_: Scope, __: Receive, send: Send) -> None:
        await send(start())
        begun.set()
        try:
            while True:
                await send(part(b"a" * 100_000))
        except ConnectionResetError:
            ended.set()

    async with serving(endless, address) as (server, task):
        _, writer = await connect(address)
        client = H2Connection(H2Configuration())
        client.initiate_connection()
        client.send_headers(1, [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")], True)
        client.increment_flow_control_window(1 << 30)
        client.increment_flow_control_window(1 << 30, 1)
        writer.write(client.data_to_send())
        await begun.wait()
        server.stop()
        for _ in range(10):
            await asyncio.sleep(0)
        with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
            await connect(address)
        assert not task.done()
        task.cancel()
        await ended.wait()
        writer.close()
