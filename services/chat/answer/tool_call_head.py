"""The head of a tool call: the text from its opening brace to its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

BLANK: Final = " \t\r\n"
# Characters of white space before an answer, or inside the head of a call, beyond which it is content.
MOST_BLANKS: Final = 64
_ARGUMENTS_KEYS: Final = ('"parameters"', '"arguments"')


class CallHead:
    """Reads the beginning of a possible call, from its brace (after white space) to its arguments.

    Either it is `undecided`, or it has a `name` and a `length` up to its arguments, or it is no call: `name` is None.
    """

    def __init__(self, text: str, names: Collection[str]) -> None:
        self.name: str | None = None
        self.undecided = False
        self.without_arguments = False
        self.length = 0
        self._text = text
        self._blanks = 0
        self._read([f'"{name}"' for name in names])

    def _read(self, quoted_names: list[str]) -> None:
        if not self._one_of("{"):
            return
        key = self._one_of('"name"', '"type"')
        if key == '"type"':
            if not (self._one_of(":") and self._one_of('"function"') and self._one_of(",") and self._one_of('"name"')):
                return
        elif key is None:
            return
        if not self._one_of(":"):
            return
        name = self._one_of(*quoted_names)
        following = self._one_of(",", "}") if name else None
        if following == ",":
            if not (self._one_of(*_ARGUMENTS_KEYS) and self._one_of(":") and self._one_of("{")):
                return
            self.length -= 1  # the brace belongs to the arguments
        elif following is None:
            return
        self.without_arguments = following == "}"
        self.name = name[1:-1] if name else None

    def _one_of(self, *expected: str) -> str | None:
        """The one of the texts that comes next, behind white space; None if none does or the text ends before."""
        while self.length < len(self._text) and self._text[self.length] in BLANK:
            self.length += 1
            self._blanks += 1
        rest = self._text[self.length :]
        for candidate in expected:
            if rest.startswith(candidate):
                self.length += len(candidate)
                return candidate
        self.undecided = self._blanks <= MOST_BLANKS and any(candidate.startswith(rest) for candidate in expected)
        return None
