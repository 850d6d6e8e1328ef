"""Callers who go away: every way to end a call early, and many of them at random."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import h2.config
import h2.connection

from chasqui.v1 import chat_service_pb2, chat_service_pb2_grpc
from edge.openai.decode import decode_chat_request
from edge.openai.request import to_chat_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    Leave = Callable[[], None]
    Way = Callable[[int, Mapping[str, object], str], AbstractAsyncContextManager[Leave]]

CHAT = "/v1/chat/completions"


@asynccontextmanager
async def _http1(port: int, fields: Mapping[str, object], request_id: str, *, stream: bool) -> AsyncIterator[Leave]:
    """HTTP/1.1, and a socket that is closed."""
    data = json.dumps({**fields, "stream": stream}).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nx-request-id: {request_id}\r\ncontent-type: application/json\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
    try:
        yield writer.close
    finally:
        writer.transport.abort()


@asynccontextmanager
async def _http2(
    port: int, fields: Mapping[str, object], request_id: str, *, stream: bool, reset: bool
) -> AsyncIterator[Leave]:
    """HTTP/2, and a stream that is reset while its connection stays, or a socket that is closed."""
    data = json.dumps({**fields, "stream": stream}).encode()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    headers = [(":method", "POST"), (":scheme", "http"), (":path", CHAT), (":authority", "x")]
    named = [("x-request-id", request_id), ("content-type", "application/json")]
    connection.send_headers(1, headers + named)
    for at in range(0, len(data), 16384):
        connection.send_data(1, data[at : at + 16384])
    connection.end_stream(1)
    writer.write(connection.data_to_send())

    def leave() -> None:
        if reset:
            connection.reset_stream(1, 8)  # CANCEL
            writer.write(connection.data_to_send())
        else:
            writer.close()

    try:
        yield leave
    finally:
        writer.transport.abort()


@asynccontextmanager
async def _grpc(port: int, fields: Mapping[str, object], request_id: str, *, stream: bool) -> AsyncIterator[Leave]:
    """gRPC, and an RPC that is cancelled."""
    chat = to_chat_request(decode_chat_request(json.dumps(fields).encode()).body)
    metadata = (("x-request-id", request_id),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
        if stream:
            call = stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=chat), metadata=metadata)
        else:
            call = stub.Chat(chat, metadata=metadata)
        try:
            yield call.cancel
        finally:
            call.cancel()


def _way(kind: Callable[..., AbstractAsyncContextManager[Leave]], **choices: bool) -> Way:
    return lambda port, fields, request_id: kind(port, fields, request_id, **choices)


# By name: begin a call, and get the function that ends it. Whatever is left of it ends with the block.
WAYS: dict[str, Way] = {
    "HTTP/1.1 streamed": _way(_http1, stream=True),
    "HTTP/1.1 whole": _way(_http1, stream=False),
    "HTTP/2 streamed, reset": _way(_http2, stream=True, reset=True),
    "HTTP/2 whole, reset": _way(_http2, stream=False, reset=True),
    "HTTP/2 streamed, closed": _way(_http2, stream=True, reset=False),
    "HTTP/2 whole, closed": _way(_http2, stream=False, reset=False),
    "gRPC streamed": _way(_grpc, stream=True),
    "gRPC whole": _way(_grpc, stream=False),
}


async def leave_at_random(
    port: int, fields: Mapping[str, object], count: int, *, callers: int = 16, longest: float = 0.1, seed: int = 0
) -> list[str]:
    """`count` calls in all, from so many callers at a time, each ended in a random way after up to `longest` seconds.

    Returns the request ids. What went wrong on the way is raised.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable, guards nothing
    plans = [(f"leaver-{seed}-{i}", chance.choice(list(WAYS)), chance.random() * longest) for i in range(count)]
    left = iter(plans)

    async def caller() -> None:
        for request_id, name, seconds in left:
            async with WAYS[name](port, fields, request_id) as leave:
                await asyncio.sleep(seconds)
                leave()

    await asyncio.gather(*(caller() for _ in range(callers)))
    return [request_id for request_id, _, _ in plans]
