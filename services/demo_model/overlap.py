"""Finds what the held-out set and the generated conversations have in common, which should be nothing."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from services.demo_model.data.conversation import Conversation
from services.demo_model.heldout import Case

RUN = 6
"""Words in a row that must not occur in both."""
_WORD = re.compile(r"[a-z0-9']+")


def overlaps(cases: Iterable[Case], conversations: Iterable[Conversation]) -> set[str]:
    """Names of functions and parameters, argument values, requests and runs of words that occur on both sides."""
    names, values, runs, requests = set[str](), set[str](), set[tuple[str, ...]](), set[tuple[str, ...]]()
    for case in (case for case in cases if not case.given):
        names |= set(_names(case.tools))
        values |= {value.lower() for value in _values(case) if _is_telling(value)}
        for words in (_words(text) for text in _requests(case.messages[-1:])):
            runs |= set(_runs(words))
            requests.add(words)
    found: set[str] = set()
    for made in conversations:
        found |= names & set(_names(made.tools))
        text = json.dumps([message.get("content") for message in made.messages]).lower()
        found |= {value for value in values if value in text}
        for words in (_words(each) for each in _requests(made.messages)):
            found |= {" ".join(run) for run in (runs & set(_runs(words))) | ({words} & requests)}
    return found


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


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.lower()))


def _runs(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield from (words[place : place + RUN] for place in range(len(words) - RUN + 1))
