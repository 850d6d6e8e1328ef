"""Tool calls in Hermes' syntax: what they are, and that no way of cutting the stream changes it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chat.answer.hermes_parser import HermesParser
from services.chat.answer.parsed import CallStart
from tests.unit.chat.test_tool_parser import cut, fold

if TYPE_CHECKING:
    from tests.unit.chat.test_tool_parser import Answer

# For a longer run: TEST_EXAMPLES=100000 pytest tests/unit/chat/test_hermes_parser.py
EXAMPLES = int(os.environ.get("TEST_EXAMPLES", "500"))
NAMES = ("get_weather", "get_time", "get")


def parse(parts: list[str], *, parallel: bool = True) -> Answer:
    parser = HermesParser(NAMES, parallel=parallel)
    parsed = [one for part in parts for one in parser.push(part)]
    return fold(parsed + parser.flush())


PARIS = '{"city": "Paris"}'
CALL = f'<tool_call>\n{{"name": "get_weather", "arguments": {PARIS}}}\n</tool_call>'
LATE = f'<tool_call>\n{{"arguments": {PARIS}, "name": "get_weather"}}\n</tool_call>'

# text -> content and calls
GOLDEN: dict[str, tuple[str, Answer]] = {
    "a call": (CALL, ("", [("get_weather", PARIS)])),
    "parameters for arguments": (CALL.replace("arguments", "parameters"), ("", [("get_weather", PARIS)])),
    "arguments before the name": (LATE, ("", [("get_weather", PARIS)])),
    "without white space": (CALL.replace("\n", ""), ("", [("get_weather", PARIS)])),
    "no arguments": ('<tool_call>{"name": "get_time"}</tool_call>', ("", [("get_time", "{}")])),
    "a name that begins another": ('<tool_call>{"name": "get", "arguments": {}}</tool_call>', ("", [("get", "{}")])),
    "two calls": (f"{CALL}\n{CALL}", ("", [("get_weather", PARIS)] * 2)),
    "two calls of both kinds": (f"{LATE}{CALL}\n{LATE}", ("", [("get_weather", PARIS)] * 3)),
    "white space before": ("\n " + CALL, ("", [("get_weather", PARIS)])),
    "white space after": (CALL + "\n ", ("", [("get_weather", PARIS)])),
    "text before": (f"Let me look.\n{CALL}", ("Let me look.\n", [("get_weather", PARIS)])),
    "text after": (f"{CALL}\nDone.", ("Done.", [("get_weather", PARIS)])),
    "inside a line": (f"Use {CALL} now", ("Use now", [("get_weather", PARIS)])),
    "braces and tags in strings": (
        '<tool_call>{"name": "get", "arguments": {"a": "}</tool_call>{\\"]", "b": [{"c": 1}]}}</tool_call>',
        ("", [("get", '{"a": "}</tool_call>{\\"]", "b": [{"c": 1}]}')]),
    ),
    "early arguments with braces in strings": (
        '<tool_call>{"arguments": {"a": "}\\"{"}, "name": "get"}</tool_call>',
        ("", [("get", '{"a": "}\\"{"}')]),
    ),
    "cut in the arguments": ('<tool_call>{"name": "get", "arguments": {"a": "x', ("", [("get", '{"a": "x')])),
    "cut in the head": ('<tool_call>{"name": "get_we', ('<tool_call>{"name": "get_we', [])),
    "cut in early arguments": ('<tool_call>{"arguments": {"a": "x', ('<tool_call>{"arguments": {"a": "x', [])),
    "cut before a late name": ('<tool_call>{"arguments": {}, "na', ('<tool_call>{"arguments": {}, "na', [])),
    "cut in the closing tag": (CALL[:-4], ("", [("get_weather", PARIS)])),
    "without a closing tag": (CALL.removesuffix("\n</tool_call>"), ("", [("get_weather", PARIS)])),
    "without the last brace": (CALL.replace("}}", "}"), ("", [("get_weather", PARIS)])),
    "text for the closing tag": (CALL.replace("</tool_call>", "so"), ("so", [("get_weather", PARIS)])),
    "a tool that is not offered": (CALL.replace("get_weather", "rm"), (CALL.replace("get_weather", "rm"), [])),
    "such a tool with early arguments": (LATE.replace("get_weather", "rm"), (LATE.replace("get_weather", "rm"), [])),
    "a call behind a tag without one": (f"<tool_call> no {CALL}", ("<tool_call> no ", [("get_weather", PARIS)])),
    "a tag inside a tag": (f"<tool_call>{CALL}", ("<tool_call>", [("get_weather", PARIS)])),
    "JSON without a tag": ('{"name": "get", "arguments": {}}', ('{"name": "get", "arguments": {}}', [])),
    "arguments that are no object": (
        '<tool_call>{"name": "get", "arguments": 3}',
        ('<tool_call>{"name": "get", "arguments": 3}', []),
    ),
    "a tag that was only begun": ("a <tool_", ("a <tool_", [])),
    "a tag begun behind a call": (f"{CALL}\n<tool", ("<tool", [("get_weather", PARIS)])),
    "much white space": (" " * 70 + CALL, (" " * 70, [("get_weather", PARIS)])),
    "much white space behind a call": (f"{CALL}{' ' * 70}a", ("a", [("get_weather", PARIS)])),
    "white space alone": (" \n", (" \n", [])),
    "nothing": ("", ("", [])),
    "prose": ("1 < 2 and <tool> is no <tool_call", ("1 < 2 and <tool> is no <tool_call", [])),
}


@pytest.mark.parametrize(("text", "expected"), GOLDEN.values(), ids=GOLDEN.keys())
def test_a_text_means_what_it_should(text: str, expected: Answer) -> None:
    assert parse([text]) == expected


@pytest.mark.parametrize("text", [text for text, _ in GOLDEN.values()], ids=GOLDEN.keys())
def test_every_single_cut_and_every_character_alone_give_the_same(text: str) -> None:
    whole = parse([text])
    assert parse(list(text)) == whole
    for position in range(len(text) + 1):
        assert parse([text[:position], text[position:]]) == whole


FRAGMENTS = st.sampled_from(
    [
        *(CALL, LATE, "<tool_call>", "</tool_call>", "<tool", "_call>", '{"name": "', "get", "get_weather", '"', ", "),
        *('"arguments": ', '{"arguments": ', '"name": "get"', "{}", "{", "}", "\n", " ", "Hello", "\\", "é", "🦙", "<"),
    ]
)
TEXTS = st.one_of(st.lists(FRAGMENTS, max_size=12).map("".join), st.text(max_size=40))


@settings(deadline=None, max_examples=EXAMPLES)
@given(TEXTS, st.lists(st.integers(0, 1000), max_size=6), st.booleans())
def test_any_cut_of_any_text_gives_the_same(text: str, positions: list[int], parallel: bool) -> None:
    whole = parse([text], parallel=parallel)
    assert parse(cut(text, positions), parallel=parallel) == whole
    assert parse(list(text), parallel=parallel) == whole


@settings(deadline=None, max_examples=EXAMPLES)
@given(st.text(max_size=60).filter(lambda text: "<tool_call>" not in text))
def test_a_text_without_a_tag_is_all_content(text: str) -> None:
    assert parse(list(text)) == (text, [])


def test_a_call_is_announced_before_its_arguments_are_complete() -> None:
    parser = HermesParser(NAMES, parallel=True)
    parsed = parser.push('<tool_call>\n{"name": "get", "arguments": {')
    assert parsed[0] == CallStart(0, "get")


def test_without_parallel_calls_the_first_complete_one_is_the_last() -> None:
    parser = HermesParser(NAMES, parallel=False)
    parsed = parser.push(f"{CALL}\n{CALL}")
    assert parser.done
    assert fold(parsed + parser.flush()) == ("", [("get_weather", PARIS)])
