"""Writes the events of an answer as those of a Messages stream; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge.anthropic.answer_schema import (
    AnthropicMessage,
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    InputJsonDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    MessageUsage,
    Ping,
    StopBody,
    TextContent,
    TextDelta,
    ToolUseContent,
)
from edge.anthropic.envelope import envelope
from edge.anthropic.response import EMPTY, message_id, stop_of, usage
from edge.api.errors import failure_of
from edge.api.writer import ENCODER, around_text, calls_around_text, frame

if TYPE_CHECKING:
    from collections.abc import Iterable

    from msgspec import Struct

    from chasqui.v1.stream_pb2 import ChoiceDelta, Started, StreamEvent
    from chasqui.v1.tool_pb2 import ToolCallDelta
    from services.errors import ChasquiError


def _event(event: Struct) -> bytes:
    """An event, named by the tag of its struct."""
    return frame(ENCODER.encode(event), str(event.__struct_config__.tag))


_PING: Final = _event(Ping())
_STOP: Final = _event(MessageStop())


class MessageWriter:
    """A `Writer` of one message: blocks of text and tool calls, one open at a time.

    Of the texts of a block only the text differs: the bytes around it are encoded once per block.
    """

    keep_alive = _PING

    def __init__(self) -> None:
        self._block = -1  # the index of the last block
        self._around: tuple[bytes, bytes] | None = None  # of the text block that is open
        self._call: int | None = None  # the index of the call whose block is open
        self._has_calls = False
        self._stop = StopBody(None, None)

    def text(self, _: int, content: str) -> bytes:
        """The next text of the answer."""
        opened = b""
        if self._around is None:
            opened = self._opened(TextContent(""))
            self._around = around_text(lambda text: _event(ContentBlockDelta(self._block, TextDelta(text))))
        before, after = self._around
        return opened + before + ENCODER.encode(content) + after

    def others(self, events: Iterable[StreamEvent]) -> bytes:
        """Any other events."""
        return b"".join([self._other(event) for event in events])

    def end(self) -> bytes:
        """The end of the stream."""
        return _STOP

    def failed(self, error: ChasquiError) -> bytes:
        """The error, which is the last event."""
        return frame(envelope(failure_of(error)), "error")

    def _other(self, event: StreamEvent) -> bytes:
        kind = event.WhichOneof("event")
        if kind == "delta":
            return self._delta(event.delta)
        if kind == "started":
            return _started(event.started)
        if kind == "finish":
            self._stop = stop_of(event.finish, has_calls=self._has_calls)
            return self._closed()
        return _event(MessageDelta(self._stop, usage(event.completed.usage)))

    def _delta(self, delta: ChoiceDelta) -> bytes:
        open_call, calls = calls_around_text(delta, self._call)
        written = b"" if open_call is None else self._arguments(open_call)
        if delta.content:
            written += self.text(delta.index, delta.content)
        return written + b"".join([self._arguments(call) for call in calls])

    def _arguments(self, call: ToolCallDelta) -> bytes:
        opened = b""
        if call.index != self._call:
            opened = self._opened(ToolUseContent(call.id, call.name, EMPTY))
            self._call = call.index
            self._has_calls = True
        if not call.arguments:
            return opened
        return opened + _event(ContentBlockDelta(self._block, InputJsonDelta(call.arguments)))

    def _opened(self, block: TextContent | ToolUseContent) -> bytes:
        closed = self._closed()
        self._block += 1
        return closed + _event(ContentBlockStart(self._block, block))

    def _closed(self) -> bytes:
        """The end of the open block, if there is one."""
        if self._around is None and self._call is None:
            return b""
        self._around = self._call = None
        return _event(ContentBlockStop(self._block))


def _started(started: Started) -> bytes:
    """How much of the prompt is cached is not known yet: all of it counts as input, as in the sum at the end."""
    used = MessageUsage(started.prompt_tokens, 0, 0)
    return _event(MessageStart(AnthropicMessage(message_id(started.id), started.model, [], None, None, used)))
