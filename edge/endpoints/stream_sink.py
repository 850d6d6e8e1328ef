"""Writes the events of a call to the response, each as soon as it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1.stream_pb2 import StreamEvent
    from edge.api.writer import Writer
    from edge.http.event_stream import EventStream
    from edge.http.exchange import Exchange


class StreamSink:
    """The sink of a streamed call. `last` holds the events of its end, for one write with what follows them.

    If the end `waits` for the answer to be stored, the text before it does not.
    """

    def __init__(self, writer: Writer, stream: EventStream, exchange: Exchange, *, waits: bool = False) -> None:
        self.last = b""
        self._writer = writer
        self._stream = stream
        self._exchange = exchange
        self._waits = waits

    def add_text(self, index: int, content: str) -> None:
        """The next text of a choice; SlowReader if the client leaves too much unread."""
        self._stream.push(self._writer.text(index, content))

    def add_all(self, events: Sequence[StreamEvent]) -> None:
        """The next events; SlowReader if the client leaves too much unread."""
        if events[0].HasField("started"):
            self._exchange.model = events[0].started.model
        if events[-1].HasField("completed"):
            self._exchange.usage = events[-1].completed.usage
            end = _end(events) if self._waits else 0
            self._push(events[:end])
            self.last = self._writer.others(events[end:])
        else:
            self._push(events)

    def _push(self, events: Sequence[StreamEvent]) -> None:
        data = self._writer.others(events)
        if data:
            self._stream.push(data, counted=not events[0].delta.echo)


def _end(events: Sequence[StreamEvent]) -> int:
    """The index of the first event of the end; the last is Completed."""
    return next(index for index, event in enumerate(events) if event.HasField("finish") or event.HasField("completed"))
