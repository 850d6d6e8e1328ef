"""Server-sent events as OpenAI frames them; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from uuid import uuid4

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chasqui.v1.stream_pb2 import StreamEvent

DONE: Final = b"data: [DONE]\n\n"
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

    def text(self, index: int, content: str) -> bytes:
        """The event of a choice's next text. The one method that is called for nearly every token."""
        around = self._around.get(index)
        if around is None:
            whole = frame(_ENCODER.encode(self._chunks.text(index, _PLACEHOLDER)))
            before, _, after = whole.partition(_ENCODER.encode(_PLACEHOLDER))
            around = self._around[index] = (before, after)
        return around[0] + _ENCODER.encode(content) + around[1]

    def others(self, events: Iterable[StreamEvent]) -> bytes:
        """Any other events, as bytes for one write."""
        return b"".join([frame(_ENCODER.encode(chunk)) for event in events for chunk in self._chunks.chunks(event)])
