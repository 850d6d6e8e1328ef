"""The generation endpoints: decode the request, submit its calls, send a whole response or a stream of events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request

from edge.api.asked import errors_named
from edge.endpoints.stream_sink import StreamSink
from edge.http.call_options import CallOptions
from edge.http.disconnect_watch import DisconnectWatch
from edge.http.event_stream import EventStream
from edge.http.exchange import current_exchange
from edge.http.ignored import ignored_header
from edge.http.json_body import send_json
from edge.http.rate_limits import limit_headers
from edge.http.shared_prompt import shared_prompt_header
from edge.upstream.several_calls import SeveralCalls
from services.errors import ChasquiError
from services.telemetry.server_timing import server_timing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from edge.api.asked import Asked
    from edge.api.whole_answer import WholeAnswer
    from edge.http.event_stream import KeepAlive
    from edge.upstream.client import Upstream
    from edge.upstream.transport import ChatStream


class Generation:
    """A generation endpoint. It is an ASGI application because it needs `receive` itself, to notice a disconnect.

    `read` reads the body of a request, and translates it into the calls to submit and the writers of their results.
    """

    def __init__(
        self, read: Callable[[Request, CallOptions], Awaitable[Asked]], upstream: Upstream, keep_alive: KeepAlive
    ) -> None:
        self._read = read
        self._upstream = upstream
        self._keep_alive = keep_alive

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; raises the ChasquiError or HTTPException that refuses it."""
        http = Request(scope, receive)
        exchange = current_exchange.get()
        options = CallOptions.from_headers(http.headers)
        try:
            asked = await self._read(http, options)
        except ClientDisconnect:
            exchange.hung_up = True
            return
        headers = ignored_header(asked.ignored)
        if headers:
            exchange.span.attributes["chasqui.ignored_parameters"] = headers["x-ignored-parameters"]
        with DisconnectWatch(receive) as watch:
            with errors_named(asked.field_of):
                call = self._start(asked, options)
                if asked.streamed:
                    await self._stream(call, asked, send, headers, watch)
                    return
                answer = asked.new_answer()
                await self._collect(call, answer)
            if asked.keeping is not None:
                await asked.keeping.keep()
            watch.end()
            response = answer.response
            exchange.model, exchange.usage = response.model, response.usage
            headers |= {
                "server-timing": server_timing(response.timings),
                **shared_prompt_header(response),
                **limit_headers(response.rate_limits),
            }
            await send_json(send, answer.json(), headers)

    async def _collect(self, call: ChatStream, answer: WholeAnswer) -> None:
        """Wait for a whole answer; the first call that fails ends the others."""
        try:
            with self._upstream.calls:
                await call.started()
                await call.forward(answer)
        finally:
            call.cancel()

    def _start(self, asked: Asked, options: CallOptions) -> ChatStream:
        """Submit all calls; their events are one stream."""
        calls: list[ChatStream] = []
        try:
            while asked.requests:
                calls.append(self._upstream.submit(asked.requests.pop(0), options, streamed=asked.streamed))
        except ChasquiError:
            for call in calls:
                call.cancel()
            raise
        return calls[0] if len(calls) == 1 else SeveralCalls(calls, asked.n)

    async def _stream(
        self, call: ChatStream, asked: Asked, send: Send, headers: Mapping[str, str], watch: DisconnectWatch
    ) -> None:
        """Write the answer as it comes. Refusals come before it, with their status; a later error is an event."""
        exchange = current_exchange.get()
        failure: ChasquiError | None = None
        writer = asked.new_writer()
        stream = EventStream(send, exchange.write, exchange.send, headers, watch.give_up, writer.keep_alive)
        try:
            with self._upstream.calls:
                started = await call.started()
            await stream.open(limit_headers(started.rate_limits))
            self._keep_alive.add(stream)
            sink = StreamSink(writer, stream, exchange, waits=asked.keeping is not None)
            try:
                with self._upstream.calls, errors_named(asked.field_of):
                    await call.forward(sink)
            except ChasquiError as error:
                exchange.error = failure = error
            if asked.keeping is not None:
                await asked.keeping.keep(failure)
            last = sink.last + writer.end() if failure is None else writer.failed(failure)
            await stream.drain()
            watch.end()
            await stream.end(last)
        except asyncio.CancelledError:
            if asked.keeping is not None:
                asked.keeping.leave()
            raise
        finally:
            self._keep_alive.discard(stream)
            stream.close()
            call.cancel()
