"""Writes the chunks of chat and text completions as server-sent events; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from edge.api.errors import failure_of
from edge.api.writer import ENCODER, KEEP_ALIVE, around_text, frame
from edge.openai.envelope import envelope

if TYPE_CHECKING:
    from collections.abc import Iterable

    import msgspec

    from chasqui.v1.stream_pb2 import StreamEvent
    from services.errors import ChasquiError

DONE: Final = b"data: [DONE]\n\n"


class Chunks(Protocol):
    """Turns the events of one stream into chunks."""

    def text(self, index: int, content: str) -> msgspec.Struct:
        """The chunk for a text delta."""

    def chunks(self, event: StreamEvent) -> Iterable[msgspec.Struct]:
        """The chunks for any other event; Started comes first."""


class ChunkWriter:
    """A `Writer` of chunks.

    Nearly all chunks differ only in their text: the bytes around it are encoded once per choice.
    """

    keep_alive = KEEP_ALIVE

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._around: dict[int, tuple[bytes, bytes]] = {}

    def text(self, index: int, content: str) -> bytes:
        """The event of a choice's next text."""
        around = self._around.get(index)
        if around is None:
            around = around_text(lambda text: frame(ENCODER.encode(self._chunks.text(index, text))))
            self._around[index] = around
        return around[0] + ENCODER.encode(content) + around[1]

    def others(self, events: Iterable[StreamEvent]) -> bytes:
        """Any other events."""
        return b"".join([frame(ENCODER.encode(chunk)) for event in events for chunk in self._chunks.chunks(event)])

    def end(self) -> bytes:
        """The mark that the stream is complete."""
        return DONE

    def failed(self, error: ChasquiError) -> bytes:
        """The error; no [DONE] follows it, so that a client that skips it still sees that the stream is cut."""
        return frame(envelope(failure_of(error)))
