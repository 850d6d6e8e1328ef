"""One request and its response: the `receive` and `send` of its application."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from h2.errors import ErrorCodes

from edge.http2.outbox import ResponseBody
from edge.http2.scope import scope_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Message

    from edge.http2.outbox import Outbox
    from edge.http2.protocol import ServerProtocol

_GONE: Final = "the client has gone"


class Stream:
    """A stream. What its client sends comes by `add_body`, `end_body` and `lose`.

    Once the client is gone, `receive` returns `http.disconnect`, and `send` raises ConnectionResetError for a part of
    the body after which more would follow; anything else is dropped, as nobody reads it.
    """

    __slots__ = (
        *("_answered", "_changed", "_end_received", "_id", "_is_head", "_lost", "_outbox", "_parts", "_protocol"),
        *("_request_ended", "_started", "_unread", "body", "scope"),
    )

    def __init__(
        self, protocol: ServerProtocol, outbox: Outbox, stream_id: int, fields: Iterable[tuple[bytes, bytes]]
    ) -> None:
        self.body = ResponseBody(protocol.streams[stream_id])
        self.scope = scope_of(fields, partial(outbox.write, self.body))
        self._id = stream_id
        self._is_head = self.scope["method"] == "HEAD"
        self._protocol = protocol
        self._outbox = outbox
        self._parts: list[bytes] = []
        self._unread = 0  # bytes of the stream's window that they take
        self._request_ended = False
        self._end_received = False  # by the application
        self._started = False
        self._answered = False
        self._lost = False
        self._changed: asyncio.Future[None] | None = None

    def add_body(self, data: bytes, size: int) -> None:
        """The next bytes of the request's body; they take `size` bytes of the window."""
        self._unread += size
        if data:
            self._parts.append(data)
            self._notify()

    def end_body(self) -> None:
        """The request is complete."""
        self._request_ended = True
        self._notify()

    def lose(self) -> None:
        """The client is gone, or has cancelled the request."""
        self._lost = True
        self._outbox.drop(self.body)
        self._open_window()
        self._notify()

    async def receive(self) -> Message:
        """What has come of the request's body since the last time; after its end, the disconnect."""
        while True:
            if self._lost or self._answered:
                return {"type": "http.disconnect"}
            if self._parts or (self._request_ended and not self._end_received):
                return self._take_parts()
            self._changed = asyncio.get_running_loop().create_future()
            await self._changed

    async def send(self, message: Message) -> None:
        """Send the beginning of the response, or the next part of its body; does not suspend while there is room."""
        if message["type"] == "http.response.start":
            self._start(message["status"], message.get("headers", ()))
            return
        more = message.get("more_body", False)
        if self._lost and more:
            raise ConnectionResetError(_GONE)
        if self._lost or self._answered:
            return
        waiting = self._outbox.send(self.body, message.get("body", b""), is_last=not more)
        if waiting is not None:
            await self._sent(waiting, more=more)
        if not more:
            self._end_response()

    def end(self) -> None:
        """The application has ended: complete the response with an error if it is not complete."""
        if self._lost:
            return
        if not self._started:
            self._protocol.send_headers(self._id, [(b":status", b"500")], end_stream=True)
            self._outbox.collect()
            self._end_response()
        if not self._answered:
            self._reset(ErrorCodes.INTERNAL_ERROR)
        elif not self._request_ended:
            self._reset(ErrorCodes.NO_ERROR)  # the rest of the request is not needed (RFC 9113, section 8.1)

    def _take_parts(self) -> Message:
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._open_window()
        self._end_received = self._request_ended
        return {"type": "http.request", "body": body, "more_body": not self._request_ended}

    def _open_window(self) -> None:
        """What has come of the body is no longer kept here: as much may come again."""
        self._parts.clear()
        if self._unread:
            self._protocol.acknowledge_received_data(self._unread, self._id)
            self._outbox.collect()
            self._unread = 0

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._started = True
        if self._lost:
            return
        fields = [(b":status", b"%d" % status), *headers]
        self._protocol.send_headers(self._id, fields, end_stream=self._is_head)
        self._outbox.collect()
        if self._is_head:
            self._end_response()

    async def _sent(self, waiting: asyncio.Future[bool], *, more: bool) -> None:
        try:
            if not await waiting and more:
                raise ConnectionResetError(_GONE)
        finally:
            if waiting.cancelled() or not waiting.done():
                waiting.cancel()
                self._reset(ErrorCodes.INTERNAL_ERROR)  # what came next would follow a gap

    def _end_response(self) -> None:
        self._answered = True
        self._outbox.drop(self.body)
        self._notify()

    def _reset(self, code: ErrorCodes) -> None:
        if not self._lost:
            self._protocol.reset_stream(self._id, code)
            self._outbox.collect()
            self.lose()

    def _notify(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
