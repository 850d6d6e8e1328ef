"""Finds tool calls in Hermes' syntax, which Qwen and SmolLM3 share, in a choice as it is generated.

A call is `<tool_call>`, JSON `{"name": "f", "arguments": {...}}`, `</tool_call>`, with white space between them; it may
begin anywhere. Hermes 2 writes `arguments` before `name`. Everything else is content, also a tag with something in it
that calls no offered tool. White space before the first call, and between calls, belongs to neither.

The result depends on the text alone and not on how it was cut. Text is held back only while it can still become a call,
and a call is announced when its arguments begin; or at their end, if the name follows them.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from services.chat.answer.json_object import JsonObject
from services.chat.answer.parsed import ParsedOutput, begun
from services.chat.answer.tool_call_head import BLANK, MOST_BLANKS, CallHead
from services.chat.grammar.tool_syntax import CLOSE_TAG, OPEN_TAG

if TYPE_CHECKING:
    from collections.abc import Collection

    from services.chat.answer.parsed import Parsed


class _State(Enum):
    BLANK = auto()  # nothing but white space so far, or since the last call
    CONTENT = auto()
    HEAD = auto()  # held text from a tag on that can still become a call
    EARLY_ARGUMENTS = auto()  # inside arguments that came before the name
    LATE_NAME = auto()  # behind them
    ARGUMENTS = auto()  # inside the arguments of a call
    TAIL = auto()  # behind the arguments, before the tag that closes the call


class HermesParser:
    """Parses one choice; `names` are those of the offered tools.

    Without `parallel`, the parser is `done` when the first call is complete, and ignores what follows.
    """

    def __init__(self, names: Collection[str], *, parallel: bool) -> None:
        self.done = False
        self._names = names
        self._parallel = parallel
        self._state = _State.BLANK
        self._held = ""
        self._json = JsonObject()
        self._early = ""  # the text from a tag on, up to the arguments that came before the name
        self._arguments: list[str] = []  # those arguments
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
        """The parsed text; what may still become a call is held back."""
        text, self._held = self._held + text, ""
        position = 0
        while position < len(text) and not self.done:
            position = self._step(text, position)
        return self._out.take()

    def flush(self) -> list[Parsed]:
        """At the end of the choice: what was held back has become no call."""
        held, self._held = self._held, ""
        if self._state is not _State.TAIL:
            self._out.add_content(self._take_early() + held)
        return self._out.take()

    def _step(self, text: str, position: int) -> int:
        """Handle the text from `position` on in the current state; returns the position that it reached."""
        if self._state is _State.BLANK:
            return self._in_blank(text, position)
        if self._state is _State.HEAD:
            return self._in_head(text, position)
        if self._state is _State.ARGUMENTS:
            return self._in_arguments(text, position)
        if self._state is _State.EARLY_ARGUMENTS:
            return self._in_early_arguments(text, position)
        if self._state is _State.LATE_NAME:
            return self._in_late_name(text, position)
        if self._state is _State.TAIL:
            return self._in_tail(text, position)
        return self._in_content(text, position)

    def _in_blank(self, text: str, position: int) -> int:
        """White space: content if content follows it, except behind a call."""
        end = position
        while end < len(text) and text[end] in BLANK:
            end += 1
        start = end if self.calls else position
        following = text[end : end + len(OPEN_TAG)]
        if OPEN_TAG.startswith(following) and end - start <= MOST_BLANKS:
            if following == OPEN_TAG:
                self._state = _State.HEAD
                if end > position:
                    self._out.drop()
                return end
            self._held = text[start:]
            return len(text)
        self._state = _State.CONTENT
        return start

    def _in_content(self, text: str, position: int) -> int:
        tag = text.find(OPEN_TAG, position)
        if tag >= 0:
            self._out.add_content(text[position:tag])
            self._state = _State.HEAD
            return tag
        end = len(text) - begun(text, position, OPEN_TAG)
        self._out.add_content(text[position:end])
        self._held = text[end:]
        return len(text)

    def _in_head(self, text: str, position: int) -> int:
        begin = position + len(OPEN_TAG)
        head = CallHead(text[begin:], self._names)
        early = _Sequence(text[begin:], "{", '"arguments"', ":", "{")
        if head.name is not None:
            return self._start(head.name, begin + head.length, "{}" if head.without_arguments else "")
        if early.found:
            self._state = _State.EARLY_ARGUMENTS
            self._json = JsonObject()
            begin += early.length - 1  # the brace belongs to the arguments
            self._early = text[position:begin]
            return begin
        if head.undecided or early.undecided:
            self._held = text[position:]
            return len(text)
        # No call after all: the tag is content.
        self._state = _State.CONTENT
        self._out.add_content(OPEN_TAG)
        return begin

    def _in_early_arguments(self, text: str, position: int) -> int:
        closed = self._json.end(text, position)
        end = len(text) if closed < 0 else closed
        self._arguments.append(text[position:end])
        if closed >= 0:
            self._state = _State.LATE_NAME
        return end

    def _in_late_name(self, text: str, position: int) -> int:
        found = {name: _Sequence(text[position:], ",", '"name"', ":", f'"{name}"') for name in self._names}
        for name, sequence in found.items():
            if sequence.found:
                arguments = "".join(self._arguments)
                self._take_early()
                return self._start(name, position + sequence.length, arguments)
        if any(sequence.undecided for sequence in found.values()):
            self._held = text[position:]
            return len(text)
        self._state = _State.CONTENT
        self._out.add_content(self._take_early())
        return position

    def _take_early(self) -> str:
        text = self._early + "".join(self._arguments)
        self._early = ""
        self._arguments.clear()
        return text

    def _start(self, name: str, position: int, arguments: str) -> int:
        """Announce a call, with its arguments if they are known already."""
        self._out.start_call(name)
        self._json = JsonObject()
        self._state = _State.ARGUMENTS
        if arguments:
            self._out.add_arguments(arguments)
            self._end_arguments()
        return position

    def _in_arguments(self, text: str, position: int) -> int:
        closed = self._json.end(text, position)
        end = len(text) if closed < 0 else closed
        self._out.add_arguments(text[position:end])
        if closed >= 0:
            self._end_arguments()
        return end

    def _end_arguments(self) -> None:
        self._state = _State.TAIL
        self.done = not self._parallel

    def _in_tail(self, text: str, position: int) -> int:
        """White space, the brace and the closing tag belong there; a call that lacks them ends all the same."""
        rest = text[position:].lstrip(BLANK).removeprefix("}").lstrip(BLANK)
        if rest.startswith(CLOSE_TAG):
            self._state = _State.BLANK
            return len(text) - len(rest) + len(CLOSE_TAG)
        if CLOSE_TAG.startswith(rest):
            self._held = text[position:]
            return len(text)
        self._state = _State.BLANK
        return len(text) - len(rest)


class _Sequence:
    """Reads texts in their order, with white space before each: `found` with a `length`, `undecided`, or neither."""

    def __init__(self, text: str, *expected: str) -> None:
        self.found = False
        self.undecided = False
        self.length = 0
        for one in expected:
            rest = text[self.length :].lstrip(BLANK)
            blanks = len(text) - self.length - len(rest)
            if blanks > MOST_BLANKS or not rest.startswith(one):
                self.undecided = blanks <= MOST_BLANKS and one.startswith(rest)
                return
            self.length += blanks + len(one)
        self.found = True
