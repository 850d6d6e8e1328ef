"""Server-sent events as OpenAI frames them, with keep-alive comments while nothing flows."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol
from uuid import uuid4

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from starlette.types import Send

    from chasqui.v1.stream_pb2 import StreamEvent
    from edge.upstream.transport import TextDelta

DONE: Final = b"data: [DONE]\n\n"
_COMMENT: Final = b": keep-alive\n\n"
_HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
_ENCODER: Final = msgspec.json.Encoder()
# A placeholder that is replaced by the text; random, so that nothing else in a chunk can equal it.
_PLACEHOLDER: Final = f"\0{uuid4()}\0"


def frame(data: bytes) -> bytes:
    """One event; `data` holds no line breaks, as JSON does not."""
    return b"data: " + data + b"\n\n"


class Chunks(Protocol):
    """Turns the events of one stream into chunks."""

    def text(self, index: int, content: str) -> msgspec.Struct:
        """The chunk for a text delta."""

    def chunks(self, event: StreamEvent) -> Iterable[msgspec.Struct]:
        """The chunks for any other event; Started comes first."""


class ChunkFrames:
    """Encodes the events of one stream as server-sent events.

    Nearly all chunks differ only in their text: the bytes around it are encoded once per choice.
    """

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._around: dict[int, tuple[bytes, bytes]] = {}

    def frames(self, events: Iterable[StreamEvent | TextDelta]) -> bytes:
        """The events, as bytes for one write."""
        return b"".join([self._text(*event) if isinstance(event, tuple) else self._others(event) for event in events])

    def _text(self, index: int, content: str) -> bytes:
        around = self._around.get(index)
        if around is None:
            whole = frame(_ENCODER.encode(self._chunks.text(index, _PLACEHOLDER)))
            before, _, after = whole.partition(_ENCODER.encode(_PLACEHOLDER))
            around = self._around[index] = (before, after)
        return around[0] + _ENCODER.encode(content) + around[1]

    def _others(self, event: StreamEvent) -> bytes:
        return b"".join([frame(_ENCODER.encode(chunk)) for chunk in self._chunks.chunks(event)])


class EventStream:
    """The response of one streamed request; `headers` are added to those of every stream.

    `on_stuck` is called when the caller has read nothing for too long.
    """

    def __init__(self, send: Send, headers: Mapping[str, str], on_stuck: Callable[[], None]) -> None:
        self.stuck_ticks = 0  # consecutive keep-alive ticks with a write pending and none completed
        self.on_stuck = on_stuck
        self._send = send
        self._headers = {**_HEADERS, **headers}
        self._comment: asyncio.Task[None] | None = None
        self._writing = False
        self._written = False  # since the last keep-alive tick

    async def open(self) -> None:
        """Send status and headers."""
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self._headers.items()]
        await self._send({"type": "http.response.start", "status": 200, "headers": pairs})

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send events, after a pending keep-alive comment: two concurrent writes would interleave."""
        self._writing = self._written = True
        if self._comment is not None:
            await self._comment
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})
        self._writing = last  # nothing may follow the end

    def keep_alive(self) -> None:
        """Start to send a comment if nothing was written since the last call and no write is pending."""
        is_pending = self._writing or (self._comment is not None and not self._comment.done())
        if self._written:
            self.stuck_ticks = 0
        elif is_pending:
            self.stuck_ticks += 1
        else:
            self.stuck_ticks = 0
            self._comment = asyncio.ensure_future(self._write_comment())
        self._written = False

    def close(self) -> None:
        """Cancel a pending comment; nothing may be written afterwards."""
        if self._comment is not None:
            self._comment.cancel()

    async def _write_comment(self) -> None:
        # The endpoint notices a disconnect by itself.
        with suppress(OSError, RuntimeError):
            await self._send({"type": "http.response.body", "body": _COMMENT, "more_body": True})


class KeepAlive:
    """One ticker for all streams of a worker. Times are in seconds.

    A silent stream gets a comment every `interval`; one whose caller has read nothing for `reader_timeout` is cut off.
    """

    def __init__(self, interval: float, reader_timeout: float) -> None:
        self._interval = interval
        self._most_ticks = math.ceil(reader_timeout / interval)
        self._streams: set[EventStream] = set()

    def add(self, stream: EventStream) -> None:
        """Watch a stream that has been opened."""
        self._streams.add(stream)

    def discard(self, stream: EventStream) -> None:
        """Stop watching a stream."""
        self._streams.discard(stream)

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            for stream in self._streams:
                stream.keep_alive()
                if stream.stuck_ticks == self._most_ticks:
                    stream.on_stuck()
