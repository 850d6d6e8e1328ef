"""The seam of the APIs: what turns the typed events of a call into the server-sent events of one API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from uuid import uuid4

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chasqui.v1.stream_pb2 import ChoiceDelta, StreamEvent
    from chasqui.v1.tool_pb2 import ToolCallDelta
    from services.errors import ChasquiError

# The comment that keeps a silent stream alive, where an API has no event for that.
KEEP_ALIVE: Final = b": keep-alive\n\n"
ENCODER: Final = msgspec.json.Encoder()
# A placeholder that is replaced by the text; random, so that nothing else in an event can equal it.
_PLACEHOLDER: Final = f"\0{uuid4()}\0"


class Writer(Protocol):
    """Writes the events of one stream, each method as bytes for one write. `keep_alive` is sent while there are none.

    Pure: it knows of no connection and no clock.
    """

    keep_alive: bytes

    def text(self, index: int, content: str) -> bytes:
        """The next text of a choice. The one method that is called for nearly every token."""

    def others(self, events: Iterable[StreamEvent]) -> bytes:
        """Any other events; Started comes first and Completed last."""

    def end(self) -> bytes:
        """What follows Completed."""

    def failed(self, error: ChasquiError) -> bytes:
        """The error that ends the stream in place of Completed."""


def frame(data: bytes, event: str = "") -> bytes:
    """One server-sent event, with its name if it has one; `data` holds no line breaks, as JSON does not."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), data) if event else b"data: %b\n\n" % data


def around_text(written: Callable[[str], bytes]) -> tuple[bytes, bytes]:
    """The bytes before and behind the JSON of a text in what `written` makes of it, which are the same for any text."""
    before, _, after = written(_PLACEHOLDER).partition(ENCODER.encode(_PLACEHOLDER))
    return before, after


def calls_around_text(
    delta: ChoiceDelta, open_call: int | None
) -> tuple[ToolCallDelta | None, Sequence[ToolCallDelta]]:
    """The call that precedes the text of a delta, if any, and those that follow it.

    Under load a delta holds all that has gathered: the rest of the call with index `open_call` came before the text.
    """
    calls = delta.tool_calls
    return (calls[0], calls[1:]) if calls and calls[0].index == open_call else (None, calls)
