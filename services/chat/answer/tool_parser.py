"""Finds Llama 3.1's tool calls in a stream of text, and separates them from the content.

The model writes a call as `{"name": "f", "parameters": {...}}`, sometimes with `"type": "function"` first, sometimes
with `arguments` for `parameters`, several of them separated by `;` or white space, with or without `<|python_tag|>`. A
call begins at the beginning of the answer or of a line, or after another call. Everything else is content, also JSON
that calls no offered tool, and JSON inside a line of prose. The tag is never content; a call can follow it anywhere.

The result depends on the text alone and not on where it was cut: text is held back only while its next characters
decide whether it is a call of an offered tool, and a call starts when its arguments begin.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from services.chat.answer.json_object import JsonObject
from services.chat.answer.parsed import ParsedOutput, begun
from services.chat.answer.tool_call_head import BLANK, MOST_BLANKS, CallHead

if TYPE_CHECKING:
    from collections.abc import Collection

    from services.chat.answer.parsed import Parsed

_PYTHON_TAG: Final = "<|python_tag|>"
# The end of a line of prose, or a tag in it, after which a call may begin.
_PROSE_END: Final = re.compile(r"\n|<\|python_tag\|>")


class _State(Enum):
    START = auto()  # nothing but white space so far
    LINE_START = auto()  # prose, at the beginning of a line
    PROSE = auto()  # prose, inside a line
    HEAD = auto()  # held text that can still become a call
    ARGUMENTS = auto()  # inside the arguments of a call
    TAIL = auto()  # behind the arguments, before the brace that ends the call
    AFTER = auto()  # behind a call


class ToolCallParser:
    """Parses one answer; `names` are those of the offered tools.

    Without `parallel`, the parser is `done` when the first call is complete, and what comes after that is dropped.
    """

    def __init__(self, names: Collection[str], *, parallel: bool) -> None:
        self.done = False
        self._names = names
        self._parallel = parallel
        self._state = _State.START
        self._held = ""
        self._json = JsonObject()
        self._out = ParsedOutput()

    @property
    def calls(self) -> int:
        """The number of calls that have begun."""
        return self._out.calls

    @property
    def leading(self) -> int:
        """The characters of the answer that are content, up to the first that is not."""
        return self._out.leading

    @property
    def broken(self) -> bool:
        """Whether there is a character of the answer that is not content."""
        return self._out.broken

    def push(self, text: str) -> list[Parsed]:
        """The content and calls that the text decides."""
        text, self._held = self._held + text, ""
        position = 0
        while position < len(text) and not self.done:
            position = self._step(text, position)
        return self._out.take()

    def flush(self) -> list[Parsed]:
        """The text that was held back when the choice ended, as content."""
        held, self._held = self._held, ""
        if held:
            self._out.add_content(held)
        return self._out.take()

    def _step(self, text: str, position: int) -> int:
        """Handle the text from `position` on in the current state; returns how far that went."""
        if self._state in (_State.START, _State.AFTER):
            return self._at_boundary(text, position)
        if self._state is _State.LINE_START:
            return self._at_line_start(text, position)
        if self._state is _State.HEAD:
            return self._in_head(text, position)
        if self._state is _State.ARGUMENTS:
            return self._in_arguments(text, position)
        if self._state is _State.TAIL:
            return self._in_tail(text, position)
        return self._in_prose(text, position)

    def _at_boundary(self, text: str, position: int) -> int:
        """At the beginning, or behind a call: skip what separates calls, and see whether one begins."""
        separators = BLANK if self._state is _State.START else BLANK + ";"
        begin = position
        while position < len(text) and text[position] in separators:
            position += 1
        rest = text[position:]
        if rest.startswith("{"):
            self._state = _State.HEAD
            # White space before an answer is part of it if it turns out to be no call.
            return begin if self.calls == 0 else position
        if rest.startswith(_PYTHON_TAG):
            # The white space before it goes with it.
            self._out.drop()
            return position + len(_PYTHON_TAG)
        undecided = _PYTHON_TAG.startswith(rest)
        if undecided and position - begin <= MOST_BLANKS:
            # Behind a call, separators are gone for good; before the first, they may still be content.
            self._held = text[begin:] if self.calls == 0 else rest
            return len(text)
        self._state = _State.PROSE
        return begin if self.calls == 0 else position

    def _at_line_start(self, text: str, position: int) -> int:
        if text[position] == "{":
            self._state = _State.HEAD
            return position
        if text[position] in BLANK:
            self._out.add_content(text[position])
            return position + 1
        self._state = _State.PROSE
        return position

    def _in_prose(self, text: str, position: int) -> int:
        end = _PROSE_END.search(text, position)
        if end is None:
            held = begun(text, position, _PYTHON_TAG)
            self._out.add_content(text[position : len(text) - held])
            self._held = text[len(text) - held :]
            return len(text)
        is_tag = end[0] == _PYTHON_TAG
        self._out.add_content(text[position : end.start() if is_tag else end.end()])
        if is_tag:
            self._out.drop()
        self._state = _State.LINE_START
        return end.end()

    def _in_head(self, text: str, position: int) -> int:
        head = CallHead(text[position:], self._names)
        if head.undecided:
            self._held = text[position:]
            return len(text)
        if head.name is None:
            # No call after all. The brace is content, and the rest of its line with it.
            self._state = _State.PROSE
            return position
        self._out.start_call(head.name)
        if head.without_arguments:
            self._out.add_arguments("{}")
            self._end_call()
        else:
            self._json = JsonObject()
            self._state = _State.ARGUMENTS
        return position + head.length

    def _in_arguments(self, text: str, position: int) -> int:
        end = self._json.end(text, position)
        if end >= 0:
            self._state = _State.TAIL
        end = len(text) if end < 0 else end
        self._out.add_arguments(text[position:end])
        return end

    def _in_tail(self, text: str, position: int) -> int:
        """Only white space and the closing brace belong there; a call whose brace is missing ends too."""
        if text[position] in BLANK:
            return position + 1
        self._end_call()
        return position + 1 if text[position] == "}" else position

    def _end_call(self) -> None:
        self._state = _State.AFTER
        self.done = not self._parallel
