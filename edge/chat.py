"""`POST /v1/chat/completions`: reads the request, submits it, and writes the answer whole or as a stream."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from edge import errors
from edge.body import read_json_body
from edge.call_options import CallOptions
from edge.openai.decode import decode_chat_request
from edge.openai.request import to_chat_request
from edge.openai.response import ChunkSequence, completion, server_timing
from edge.sse import DONE, ChunkFrames, EventStream, frame
from services.errors import ChasquiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from starlette.types import Receive, Scope, Send

    from chasqui.v1.stream_pb2 import StreamEvent
    from edge.sse import KeepAlive
    from edge.transport import ChatStream, TextDelta
    from edge.upstream import Upstream

# Of the unknown fields that a request may have, so many are named, and so much of each name.
_MOST_NAMES = 20
_LONGEST_NAME = 64


class ChatCompletions:
    """The endpoint, an ASGI application of its own: it needs the bare `receive` to notice a caller that hangs up."""

    def __init__(self, upstream: Upstream, keep_alive: KeepAlive) -> None:
        self._upstream = upstream
        self._keep_alive = keep_alive

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises the ChasquiError or HTTPException that refuses it."""
        http = Request(scope, receive)
        options = CallOptions.from_headers(http.headers)
        try:
            decoded = decode_chat_request(await read_json_body(http))
        except ClientDisconnect:
            return
        request = to_chat_request(decoded.body)
        headers = {"x-ignored-parameters": _header_list(decoded.ignored)} if decoded.ignored else {}
        async with _until_disconnect(receive) as give_up:
            if decoded.body.stream:
                stream_options = decoded.body.stream_options
                include_usage = stream_options is not None and bool(stream_options.include_usage)
                chunks = ChunkSequence(n=request.n or 1, include_usage=include_usage)
                call = self._upstream.stream_chat(request, options)
                await self._stream(call, ChunkFrames(chunks), EventStream(send, headers, give_up))
            else:
                answer = await self._upstream.chat(request, options)
                headers["server-timing"] = server_timing(answer.timings)
                body = msgspec.json.encode(completion(answer))
                await Response(body, 200, headers, "application/json")(scope, receive, send)

    async def _stream(self, call: ChatStream, chunks: ChunkFrames, stream: EventStream) -> None:
        """Write the answer as it comes. Refusals come before the first event and keep their status."""
        try:
            events = await call.read()
            await stream.open()
            self._keep_alive.add(stream)
            await _write(call, events, chunks, stream)
        finally:
            self._keep_alive.discard(stream)
            stream.close()
            call.cancel()


async def _write(
    call: ChatStream, events: Sequence[StreamEvent | TextDelta], chunks: ChunkFrames, stream: EventStream
) -> None:
    """Write each batch of events with one write, and end with [DONE]; a failure is an event, and no [DONE] follows."""
    while True:
        data = chunks.frames(events)
        if call.ended:
            await stream.write(data + DONE, last=True)
            return
        if data:
            await stream.write(data)
        try:
            events = await call.read()
        except ChasquiError as error:
            await stream.write(frame(errors.envelope(error)), last=True)
            return


def _header_list(names: Sequence[str]) -> str:
    """Names that a caller chose, as the value of a header: percent-encoded, and of bounded length."""
    listed = [quote(name[:_LONGEST_NAME]) for name in names[:_MOST_NAMES]]
    return ", ".join([*listed, "..."] if len(names) > _MOST_NAMES else listed)


@asynccontextmanager
async def _until_disconnect(receive: Receive) -> AsyncIterator[Callable[[], None]]:
    """Run the block until it ends, the caller hangs up, or the function that it gets is called; that is no error."""
    task = asyncio.current_task()
    given_up = False

    def give_up() -> None:
        nonlocal given_up
        given_up = True
        if task is not None:
            task.cancel()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        give_up()

    watcher = asyncio.create_task(watch())
    try:
        yield give_up
    except asyncio.CancelledError:
        if not given_up:
            raise
        if task is not None:
            task.uncancel()
    finally:
        watcher.cancel()
