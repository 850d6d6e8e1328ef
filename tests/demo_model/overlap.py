"""Finds what the held-out sets and a generated conversation have in common, so that the training leaves it out."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.demo_model.data.conversation import Conversation, Message
from tests.demo_model.heldout import Case

RUN = 6
"""Words in a row that must not occur in both."""
_WORD = re.compile(r"[a-z0-9']+")
Words = tuple[str, ...]


class HeldOut:
    """Names of functions and parameters, argument values, requests and runs of their words."""

    def __init__(self, cases: Iterable[Case]) -> None:
        self._names, self._values = set[str](), dict[str, list[Words]]()
        self._runs, self._requests = set[Words](), set[Words]()
        for case in (case for case in cases if not case.given):
            self._names |= set(_names(case.tools))
            for value in (_words(value) for value in _values(case) if _is_telling(value)):
                self._values.setdefault(value[0], []).append(value)
            for words in (_words(text) for text in _requests(case.messages[-1:])):
                self._runs |= set(_runs(words, RUN))
                self._requests.add(words)

    def names(self, tools: Iterable[Mapping[str, Any]]) -> set[str]:
        """Those that the tools have, too."""
        return self._names & set(_names(tools))

    def wordings(self, messages: Iterable[Message]) -> set[str]:
        """Values and runs of words that the messages have, too; whole requests of any length."""
        found = set[Words]()
        for message in messages:
            words = _words(message.get("content") or "")
            for first in self._values.keys() & set(words):
                found |= {value for value in self._values[first] if value in set(_runs(words, len(value)))}
            if message["role"] == "user":
                found |= self._runs.intersection(_runs(words, RUN)) | self._requests.intersection((words,))
        return {" ".join(words) for words in found}

    def common(self, made: Conversation) -> set[str]:
        """All of that in a conversation."""
        return self.names(made.tools) | self.wordings(made.messages)


def _names(tools: Iterable[Any]) -> Iterator[str]:
    for tool in tools:
        yield tool["function"]["name"]
        yield from tool["function"]["parameters"]["properties"]


def _values(case: Case) -> Iterator[str]:
    for _, arguments in case.calls:
        yield from (value for value in arguments.values() if isinstance(value, str))
    if case.value:
        yield from (value for value in case.value.values() if isinstance(value, str))


def _is_telling(value: str) -> bool:
    """Not digits, not weekdays, and not under six letters: those meet invented words by chance."""
    return len(value) >= 6 and not any(letter.isdigit() for letter in value) and not value.endswith("day")


def _requests(messages: Iterable[Any]) -> Iterator[str]:
    yield from (message["content"] for message in messages if message["role"] == "user")


def _words(text: str) -> Words:
    return tuple(_WORD.findall(text.lower()))


def _runs(words: Words, length: int) -> Iterator[Words]:
    yield from (words[place : place + length] for place in range(len(words) - length + 1))
