"""Tool calls in an answer: what they are, and that no way of cutting the stream changes it."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.chat.answer.parsed import CallArguments, CallStart, Content, Parsed
from services.chat.answer.tool_parser import ToolCallParser

thorough = settings(max_examples=5 * settings().max_examples)
NAMES = ("get_weather", "get_time", "get")
Answer = tuple[str, list[tuple[str, str]]]


def fold(parsed: list[Parsed]) -> Answer:
    """The content, and the calls as name and arguments."""
    content = ""
    calls: list[tuple[str, str]] = []
    for part in parsed:
        if isinstance(part, Content):
            content += part.text
        elif isinstance(part, CallStart):
            assert part.index == len(calls)
            calls.append((part.name, ""))
        else:
            assert part.index == len(calls) - 1
            calls[-1] = (calls[-1][0], calls[-1][1] + part.text)
    return content, calls


def parse(pieces: list[str], *, parallel: bool = True) -> Answer:
    parser = ToolCallParser(NAMES, parallel=parallel)
    parsed = [part for piece in pieces for part in parser.push(piece)]
    return fold(parsed + parser.flush())


PARIS = '{"city": "Paris"}'
CALL = f'{{"name": "get_weather", "parameters": {PARIS}}}'

# answer -> content and calls
GOLDEN: dict[str, tuple[str, Answer]] = {
    "a call": (CALL, ("", [("get_weather", PARIS)])),
    "arguments for parameters": (CALL.replace("parameters", "arguments"), ("", [("get_weather", PARIS)])),
    "the type first": (CALL.replace("{", '{"type": "function", ', 1), ("", [("get_weather", PARIS)])),
    "python tag": ("<|python_tag|>" + CALL, ("", [("get_weather", PARIS)])),
    "white space before": ("\n  " + CALL, ("", [("get_weather", PARIS)])),
    "white space after": (CALL + " \n", ("", [("get_weather", PARIS)])),
    "no parameters": ('{"name": "get_time"}', ("", [("get_time", "{}")])),
    "empty parameters": ('{"name": "get_time", "parameters": {}}', ("", [("get_time", "{}")])),
    "a name that begins another": ('{"name": "get", "parameters": {}}', ("", [("get", "{}")])),
    "pretty-printed": (
        '{\n  "name": "get_weather",\n  "parameters": {\n    "city": "Paris"\n  }\n}',
        ("", [("get_weather", '{\n    "city": "Paris"\n  }')]),
    ),
    "separated by a semicolon": (f"{CALL}; {CALL}", ("", [("get_weather", PARIS)] * 2)),
    "separated by a line": (f"{CALL}\n{CALL}", ("", [("get_weather", PARIS)] * 2)),
    "not separated": (CALL + CALL, ("", [("get_weather", PARIS)] * 2)),
    "three with tags": (f"<|python_tag|>{CALL};<|python_tag|>{CALL};{CALL}", ("", [("get_weather", PARIS)] * 3)),
    "text before": (f"Let me look.\n{CALL}", ("Let me look.\n", [("get_weather", PARIS)])),
    "text after": (f"{CALL}\nDone.", ("Done.", [("get_weather", PARIS)])),
    "text between": (f"{CALL}\nand\n{CALL}", ("and\n", [("get_weather", PARIS)] * 2)),
    "braces in strings": (
        '{"name": "get", "parameters": {"a": "}{\\"]", "b": [{"c": 1}]}}',
        ("", [("get", '{"a": "}{\\"]", "b": [{"c": 1}]}')]),
    ),
    "unicode escapes": (
        '{"name": "get", "parameters": {"a": "\\u00e9\\ud83e\\udd99"}}',
        ("", [("get", '{"a": "\\u00e9\\ud83e\\udd99"}')]),
    ),
    "numbers as they are written": (
        '{"name": "get", "parameters": {"b": 10, "a": 1e1}}',
        ("", [("get", '{"b": 10, "a": 1e1}')]),
    ),
    "cut in the arguments": ('{"name": "get", "parameters": {"a": "x', ("", [("get", '{"a": "x')])),
    "cut in the head": ('{"name": "get_we', ('{"name": "get_we', [])),
    "without the last brace": (CALL[:-1], ("", [("get_weather", PARIS)])),
    "text where the last brace was": (CALL[:-1] + " so", ("so", [("get_weather", PARIS)])),
    "a tool that is not offered": ('{"name": "rm", "parameters": {}}', ('{"name": "rm", "parameters": {}}', [])),
    "JSON that is no call": ('{"a": {"name": "get"}}', ('{"a": {"name": "get"}}', [])),
    "JSON with a name and more": ('{"name": "get", "age": 3}', ('{"name": "get", "age": 3}', [])),
    "parameters that are no object": ('{"name": "get", "parameters": 3}', ('{"name": "get", "parameters": 3}', [])),
    "a list": (f"[{CALL}]", (f"[{CALL}]", [])),
    "inside prose": (f"Use {CALL} for that.", (f"Use {CALL} for that.", [])),
    "prose": ("Hello, how are you?\nFine.", ("Hello, how are you?\nFine.", [])),
    "a tag in prose": ("see <|python_tag|> there", ("see  there", [])),
    "a tag alone": ("\n<|python_tag|>", ("", [])),
    "a call behind a tag in prose": (f"Let me look. <|python_tag|>{CALL}", ("Let me look. ", [("get_weather", PARIS)])),
    "a tag that was only begun": ("a <|python", ("a <|python", [])),
    "a tag begun behind a call": (f"{CALL}<|py", ("<|py", [("get_weather", PARIS)])),
    "white space alone": (" \n", (" \n", [])),
    "nothing": ("", ("", [])),
    "code": ("def f():\n{\n}\n", ("def f():\n{\n}\n", [])),
}


@pytest.mark.parametrize(("text", "expected"), GOLDEN.values(), ids=GOLDEN.keys())
def test_an_answer_means_what_it_should(text: str, expected: Answer) -> None:
    assert parse([text]) == expected


@pytest.mark.parametrize("text", [text for text, _ in GOLDEN.values()], ids=GOLDEN.keys())
def test_every_single_cut_and_every_character_alone_give_the_same(text: str) -> None:
    whole = parse([text])
    assert parse(list(text)) == whole
    for position in range(len(text) + 1):
        assert parse([text[:position], text[position:]]) == whole


FRAGMENTS = st.sampled_from(
    [
        *(CALL, '{"name": "', "get", "get_weather", '"', ", ", '"parameters": ', "{}", "{", "}", ";", "\n", " "),
        *("<|python_tag|>", "<|", "Hello", "\\", "\\u00e9", "é", "🦙", '{"a": 1}', '"arguments"', ":", "[", "]"),
        '"type": "function"',
    ]
)
TEXTS = st.one_of(st.lists(FRAGMENTS, max_size=12).map("".join), st.text(max_size=40))


def cut(text: str, positions: list[int]) -> list[str]:
    borders = [0, *sorted(position % (len(text) + 1) for position in positions), len(text)]
    return [text[begin:end] for begin, end in pairwise(borders)]


@thorough
@given(text=TEXTS, positions=st.lists(st.integers(0, 10_000), max_size=12), parallel=st.booleans())
@example(text='{"name": "get"}}', positions=[3, 9], parallel=True)
def test_no_way_of_cutting_an_answer_changes_it(text: str, positions: list[int], parallel: bool) -> None:
    assert parse(cut(text, positions), parallel=parallel) == parse([text], parallel=parallel)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=5), JSON, max_size=4)


@thorough
@given(
    calls=st.lists(st.tuples(st.sampled_from(NAMES), OBJECTS), min_size=1, max_size=4),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 0, 2]),
    separator=st.sampled_from([";", "; ", "\n", "", "\n\n"]),
    positions=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_whatever_is_called_with_whatever_arguments_is_found(
    calls: list[tuple[str, dict[str, Any]]], ascii_only: bool, indent: int | None, separator: str, positions: list[int]
) -> None:
    text = separator.join(
        json.dumps({"name": name, "parameters": arguments}, ensure_ascii=ascii_only, indent=indent)
        for name, arguments in calls
    )
    content, found = parse(cut(text, positions))
    assert content == ""
    assert [(name, json.loads(arguments)) for name, arguments in found] == calls


@thorough
@given(text=TEXTS)
@example(text="\n<|python_tag|>")
def test_nothing_is_lost_from_an_answer_without_calls(text: str) -> None:
    content, calls = parse(list(text))
    if not calls:
        # Only tags are no content, and the white space before the first ones.
        assert content == re.sub(r"^([ \t\r\n]*<\|python_tag\|>)+", "", text).replace("<|python_tag|>", "")


@thorough
@given(text=st.text(alphabet='ab {}":,\n', max_size=200))
def test_hardly_anything_is_held_back(text: str) -> None:
    parser = ToolCallParser(NAMES, parallel=True)
    shown = 0
    for position, character in enumerate(text):
        shown += sum(len(part.text) for part in parser.push(character) if isinstance(part, Content | CallArguments))
        assert position + 1 - shown <= 200, "the head of a call is shorter than that"


def test_a_call_is_announced_as_soon_as_its_arguments_begin_and_they_come_as_they_arrive() -> None:
    parser = ToolCallParser(NAMES, parallel=True)
    assert parser.push('{"name": "get_weather", "parameters": ') == []
    assert parser.push("{") == [CallStart(0, "get_weather"), CallArguments(0, "{")]
    assert parser.push('"city": "Pa') == [CallArguments(0, '"city": "Pa')]


def test_prose_is_never_held_back() -> None:
    parser = ToolCallParser(NAMES, parallel=True)
    assert parser.push("Hel") == [Content("Hel")]
    assert parser.push("lo\n") == [Content("lo\n")]
    assert parser.push("there {") == [Content("there {")]


def test_without_parallel_calls_the_first_complete_one_is_the_end() -> None:
    parser = ToolCallParser(NAMES, parallel=False)
    parser.push(CALL[:-1])
    before = parser.done
    assert parser.push("}; " + CALL) == []
    assert (before, parser.done) == (False, True)
    assert parse([CALL, ";", CALL], parallel=False) == ("", [("get_weather", PARIS)])


def test_a_single_object_with_a_tag_is_not_confused_by_white_space_without_end() -> None:
    parser = ToolCallParser(NAMES, parallel=True)
    assert fold(parser.push(" " * 1000)) == (" " * 1000, [])
