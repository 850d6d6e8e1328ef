"""Detecting in llama.cpp's messages whether generated text satisfies its grammar."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.engine.llama_cpp.grammar_follower import GrammarFollower

GRAMMAR = "start: %json " + json.dumps({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]})
ANSWER = '{"a":"ä🦙"}'


def message(text: str, finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return {"choices": [{"index": index, "text": text, "finish_reason": finish}]}


@pytest.mark.parametrize("size", [1, 3, 100])
def test_text_that_satisfies_its_grammar_is_allowed_however_it_is_cut(size: int) -> None:
    follower = GrammarFollower(GRAMMAR, 1)
    assert all(follower.allows(message(ANSWER[at : at + size])) for at in range(0, len(ANSWER), size))
    assert follower.allows(message("", "stop"))


def test_text_beyond_the_grammar_and_an_end_before_its_end_are_not_allowed() -> None:
    assert not GrammarFollower(GRAMMAR, 1).allows(message("Hello"))
    assert not GrammarFollower(GRAMMAR, 1).allows(message('{"a":', "stop"))
    assert GrammarFollower(GRAMMAR, 1).allows(message('{"a":', "length"))


def test_choices_are_checked_separately() -> None:
    follower = GrammarFollower(GRAMMAR, 2)
    assert follower.allows(message('{"a":', index=0))
    assert follower.allows(message(ANSWER, "stop", index=1))
    assert not follower.allows(message(ANSWER, index=0))


def test_messages_without_choices_are_allowed() -> None:
    assert GrammarFollower(GRAMMAR, 1).allows({"timings": {}})
