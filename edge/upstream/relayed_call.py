"""A call on the Relay: the stream's reader fills it and never waits; the caller's task empties it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from google.rpc.status_pb2 import Status

from chasqui.v1 import stream_pb2
from edge.upstream.upstream_error import error_of_status
from services.errors import SlowReader
from services.fold import ResponseFold

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chasqui.v1 import chat_service_pb2, relay_service_pb2
    from edge.upstream.transport import TextDelta
    from services.errors import ChasquiError

# Bytes of events that may wait for a caller who does not read them.
MOST_UNREAD: Final = 1024 * 1024
# About what a kept event takes beside its content, in bytes.
_EVENT_BYTES: Final = 256


class RelayedCall:
    """The edge's side of a call; `ended` is true once its last event has been read.

    `tokens` and `characters` count what has arrived so far, in all choices. `on_end` is called once no more events are
    wanted: with True if the server is still generating and must cancel the call.
    """

    def __init__(self, request_id: str, on_end: Callable[[bool], None]) -> None:
        self.ended = False
        self.request_id = request_id
        self.tokens = 0
        self.characters = 0
        self._on_end = on_end
        self._events: list[stream_pb2.StreamEvent | TextDelta] = []
        self._unread = 0
        self._failure: ChasquiError | None = None
        self._filled: asyncio.Future[None] | None = None

    async def read(self) -> Sequence[stream_pb2.StreamEvent | TextDelta]:
        """The next events, at least one; raises the server's error as a ChasquiError.

        `ended` is true once the last of them are returned; read() must not be called after that.
        """
        while not self._events:
            await self._wait()
        events, self._events = self._events, []
        self._unread = 0
        last = events[-1]
        if not isinstance(last, tuple) and last.HasField("completed"):
            self._end()
        return events

    async def response(self) -> chat_service_pb2.ChatResponse:
        """The whole answer; raises the server's error as a ChasquiError."""
        fold = ResponseFold()
        while not self.ended:
            for event in await self.read():
                if isinstance(event, tuple):
                    fold.add_text(*event)
                else:
                    fold.add(event)
        return fold.response

    def cancel(self) -> None:
        """End the call; without effect if it has ended."""
        if not self.ended:
            self.ended = True
            self._on_end(self._failure is None)
        # A raised error holds a traceback, whose frames hold this call: breaks that reference cycle.
        self._failure = None

    def deliver_text(self, index: int, content: str) -> None:
        """The next text of a choice."""
        self._events.append((index, content))
        size = len(content)
        self.characters += size
        self._unread += size + _EVENT_BYTES
        if self._unread > MOST_UNREAD:
            self._overflow()
        if self._filled is not None and not self._filled.done():
            self._filled.set_result(None)

    def deliver(self, progress: relay_service_pb2.CallProgress) -> None:
        """The next events, or the error, of the call."""
        if progress.HasField("status"):
            self._failure = error_of_status(Status.FromString(progress.status))
        self.tokens = progress.tokens
        behind = bool(self._events)
        for event in progress.events:
            self.characters += len(event.delta.content)
            # For a caller who is behind, copies: one event keeps the whole message that brought it.
            self._events.append(_copy(event) if behind else event)
            self._unread += event.ByteSize() + _EVENT_BYTES
        if self._unread > MOST_UNREAD:
            self._overflow()
        self._wake()

    def fail(self, error: ChasquiError) -> None:
        """End the call with an error; events that have arrived can still be read."""
        self._failure = error
        self._wake()

    def _overflow(self) -> None:
        if self._failure is None:
            self._failure = SlowReader()
            self._on_end(True)

    def _end(self) -> None:
        self.ended = True
        self._on_end(False)

    def _wake(self) -> None:
        if self._filled is not None and not self._filled.done():
            self._filled.set_result(None)

    async def _wait(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._filled = asyncio.get_running_loop().create_future()
        await self._filled


def _copy(event: stream_pb2.StreamEvent) -> stream_pb2.StreamEvent:
    copy = stream_pb2.StreamEvent()
    copy.CopyFrom(event)
    return copy
