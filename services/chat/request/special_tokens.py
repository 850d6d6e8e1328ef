"""Keeps special tokens that callers spell out apart from those that the chat template writes.

While the template renders, a placeholder replaces every special token in the callers' texts. The special tokens of the
rendered prompt are then the template's own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from services.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_PRIVATE_USE = range(0xE000, 0xF900)


class SpecialTokens:
    """The spellings of a model's special tokens."""

    def __init__(self, spellings: Iterable[str]) -> None:
        self._spellings = list(spellings)
        self._numbers = {spelling: number for number, spelling in enumerate(self._spellings)}
        self._pattern = re.compile(f"({_longest_of(self._spellings)})")

    def split(self, text: str) -> list[str]:
        """The text, cut at its special tokens: every second item is one."""
        return self._pattern.split(text)

    def hide(self, value: Any, guard: str) -> Any:
        """A value of JSON's types, with each special token in its texts replaced by its number between guards."""
        if isinstance(value, str):
            # Of the same kind of text as before.
            return type(value)(self._pattern.sub(lambda match: f"{guard}{self._numbers[match[0]]}{guard}", value))
        if isinstance(value, list):
            return [self.hide(item, guard) for item in value]
        if isinstance(value, dict):
            return {self.hide(key, guard): self.hide(item, guard) for key, item in value.items()}
        return value

    def reveal(self, text: str, guard: str) -> str:
        """The text, with the spellings back in place of their placeholders."""
        if guard not in text:
            return text
        return re.sub(f"{guard}(\\d+){guard}", lambda match: self._spellings[int(match[1])], text)


def unused_character(source: str, value: Any) -> str:
    """A private-use character in neither the source nor a text of the value; InvalidValue if all are used."""
    texts = [source, *_texts(value)]
    for character in map(chr, _PRIVATE_USE):
        if not any(character in text for text in texts):
            return character
    raise InvalidValue("The messages use every private-use character.", param="messages")


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value of JSON's types."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)


def _longest_of(spellings: Sequence[str]) -> str:
    """A pattern for the longest spelling at a position, shaped as a prefix tree: Gemma has 6,249 special tokens."""
    tree: dict[str, Any] = {}
    for spelling in spellings:
        node = tree
        for character in spelling:
            node = node.setdefault(character, {})
        node[""] = {}
    return _branch(tree) or "(?!)"


def _branch(node: dict[str, Any]) -> str:
    branches = [re.escape(character) + _branch(child) for character, child in node.items() if character]
    if not branches:
        return ""
    if len(branches) == 1 and "" not in node:
        return branches[0]
    return f"(?:{'|'.join(branches)}){'?' if '' in node else ''}"
