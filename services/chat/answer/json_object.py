"""Finds the end of a JSON object in text that is still being generated."""

from __future__ import annotations

import re
from typing import Final

# The characters that change the state of the JSON scanner.
_JSON_MARKS: Final = re.compile(r'["\\{}\[\]]')


class JsonObject:
    """Follows one JSON object, character by character, to the brace that closes it."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def end(self, text: str, start: int) -> int:
        """The index behind the closing brace, or -1 if it is not in `text[start:]`."""
        position = start
        while position < len(text):
            if self._escaped:
                self._escaped = False
                position += 1
                continue
            mark = _JSON_MARKS.search(text, position)
            if mark is None:
                return -1
            position = mark.end()
            if self._closes(mark[0]):
                return position
        return -1

    def _closes(self, mark: str) -> bool:
        if self._in_string:
            self._escaped = mark == "\\"
            self._in_string = mark != '"'
        elif mark == '"':
            self._in_string = True
        elif mark in "{[":
            self._depth += 1
        elif mark in "}]":
            self._depth -= 1
            return self._depth == 0
        return False
