"""What the tool-call parsers find in a choice: content and calls, in the order of the text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Content:
    """Text of the answer that belongs to no call."""

    text: str


@dataclass(frozen=True, slots=True)
class CallStart:
    """A call begins; its arguments follow."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """The next characters of a call's arguments, as the model writes them."""

    index: int
    text: str


Parsed = Content | CallStart | CallArguments


class ParsedOutput:
    """Collects what a parser finds; `calls` counts the calls that have begun.

    `leading` counts the characters of the answer that are content, up to the first that is not, which sets `broken`.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.leading = 0
        self.broken = False
        self._found: list[Parsed] = []

    def add_content(self, text: str) -> None:
        """The next content; joined to content right before it."""
        if not text:
            return
        if not self.broken:
            self.leading += len(text)
        if self._found and isinstance(last := self._found[-1], Content):
            self._found[-1] = Content(last.text + text)
        else:
            self._found.append(Content(text))

    def start_call(self, name: str) -> None:
        """The next call."""
        self.broken = True
        self._found.append(CallStart(self.calls, name))
        self.calls += 1

    def drop(self) -> None:
        """The next text is neither content nor part of a call."""
        self.broken = True

    def add_arguments(self, text: str) -> None:
        """The next characters of the last call's arguments."""
        self._found.append(CallArguments(self.calls - 1, text))

    def take(self) -> list[Parsed]:
        """Everything since the last time."""
        found, self._found = self._found, []
        return found


def begun(text: str, start: int, tag: str) -> int:
    """The number of characters at the end of `text[start:]` that can still become the tag, which begins with `<`."""
    begin = text.rfind("<", max(start, len(text) - len(tag) + 1))
    return len(text) - begin if begin >= 0 and tag.startswith(text[begin:]) else 0
