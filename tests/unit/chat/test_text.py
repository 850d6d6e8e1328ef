"""The visible text of a choice: decoding and stop sequences, however the tokens and the text are cut."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat.answer.text import ChoiceText, StopMatcher
from services.engine.api import TokenDelta
from services.engine.model.tokenizer import TextDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# A vocabulary in which id and byte are the same number.
BYTE_TOKENS = [bytes([byte]) for byte in range(256)]
# Few characters, so that stop sequences begin, fail and overlap often; of one to four bytes, one of them combining.
LETTERS = st.text(st.sampled_from("ab🦙世e\u0301"), max_size=20)
STOPS = st.lists(st.text(st.sampled_from("ab🦙世e\u0301"), min_size=1, max_size=4), min_size=1, max_size=3)


def _cut(whole: Sequence[object], points: Sequence[int]) -> list[slice]:
    edges = [0, *sorted(min(point, len(whole)) for point in points), len(whole)]
    return [slice(start, end) for start, end in pairwise(edges)]


def _every_cut(length: int) -> Iterator[list[slice]]:
    for count in range(length):
        for points in combinations(range(1, length), count):
            yield [slice(start, end) for start, end in pairwise([0, *points, length])]


def _uncut(text: str, stops: Sequence[str]) -> tuple[str, str | None]:
    """What is visible of the whole text, and the stop sequence that ends first; the longest of those that end there."""
    for end in range(1, len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            stop = max(ending, key=len)
            return text[: end - len(stop)], stop
    return text, None


def _through_matcher(deltas: Sequence[str], stops: Sequence[str]) -> tuple[str, str | None]:
    matcher = StopMatcher(stops)
    shown = ""
    for delta in deltas:
        shown += matcher.push(delta)
        if matcher.matched is not None:
            return shown, matcher.matched
    return shown + matcher.flush(), None


def _through_choice(deltas: Sequence[TokenDelta], stops: Sequence[str]) -> tuple[str, str | None]:
    choice = ChoiceText(TextDecoder(BYTE_TOKENS), stops)
    shown = ""
    for delta in deltas:
        shown += choice.push(delta)
        if choice.stop_reason is not None:
            return shown, choice.stop_reason
    shown += choice.flush()
    return shown, choice.stop_reason


@pytest.mark.parametrize(
    ("text", "stops", "visible", "matched"),
    [
        ("abc", ["x"], "abc", None),
        ("abc", ["b"], "a", "b"),
        ("abc", ["abc"], "", "abc"),
        ("abc", ["bcd"], "abc", None),
        ("abcd", ["abcd", "bc"], "a", "bc"),
        ("xbc", ["bc", "xbc"], "", "xbc"),
        ("aab", ["ab"], "a", "ab"),
        ("ababac", ["abac"], "ab", "abac"),
        ("aaaa", ["aaab", "b"], "aaaa", None),
        ("first\n\nsecond", ["\n\n"], "first", "\n\n"),
        ("e\u0301x", ["\u0301"], "e", "\u0301"),
        ("ll🦙ma", ["🦙"], "ll", "🦙"),
        ("你好世界", ["世界"], "你好", "世界"),
    ],
)
def test_the_first_stop_sequence_to_be_completed_ends_the_text_for_every_cut(
    text: str, stops: list[str], visible: str, matched: str | None
) -> None:
    for cut in _every_cut(len(text)):
        assert _through_matcher([text[part] for part in cut], stops) == (visible, matched)


@given(LETTERS, STOPS, st.lists(st.integers(0, 20), max_size=12))
def test_text_and_match_are_the_same_for_any_cut_as_uncut(text: str, stops: list[str], points: list[int]) -> None:
    deltas = [text[part] for part in _cut(text, points)]
    assert _through_matcher(deltas, stops) == _uncut(text, stops)


@given(LETTERS, STOPS, st.lists(st.integers(0, 20), max_size=12))
def test_exactly_what_could_begin_a_stop_sequence_is_held_back(text: str, stops: list[str], points: list[int]) -> None:
    matcher = StopMatcher(stops)
    seen = shown = ""
    for part in _cut(text, points):
        seen += text[part]
        shown += matcher.push(text[part])
        if matcher.matched is not None:
            break
        beginnings = {stop[:length] for stop in stops for length in range(1, len(stop))}
        held = max((beginning for beginning in beginnings if seen.endswith(beginning)), key=len, default="")
        assert shown == seen.removesuffix(held)


def test_after_a_match_nothing_more_is_shown() -> None:
    matcher = StopMatcher(["stop"])
    assert matcher.push("a stop b") == "a "
    assert matcher.push("c") + matcher.flush() == ""


def test_held_text_is_shown_once_when_the_choice_ends_without_a_match() -> None:
    matcher = StopMatcher(["stop"])
    assert matcher.push("sto") == ""
    assert matcher.flush() == "sto"
    assert matcher.flush() == ""


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("🦙".encode(), "🦙"),
        ("世界e\u0301".encode(), "世界e\u0301"),
        ("👩‍🚀".encode(), "👩‍🚀"),
        (b"a\xffb", "a\ufffdb"),
        (b"\xf0\x9f\xa6", "\ufffd"),
        (b"\xe4\xb8a", "\ufffda"),
        (b"\x80\x80", "\ufffd\ufffd"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
    ],
)
def test_bytes_become_the_same_characters_for_every_cut(data: bytes, text: str) -> None:
    for cut in _every_cut(len(data)):
        decoder = TextDecoder(BYTE_TOKENS)
        assert "".join(decoder.push(data[part]) for part in cut) + decoder.flush() == text


@given(st.binary(max_size=24), st.lists(st.integers(0, 24), max_size=12))
def test_any_bytes_decode_as_the_whole_would(data: bytes, points: list[int]) -> None:
    decoder = TextDecoder(BYTE_TOKENS)
    shown = "".join(decoder.push(data[part]) for part in _cut(data, points))
    assert shown + decoder.flush() == data.decode("utf-8", "replace")


@pytest.mark.parametrize("text", ["é", "世", "🦙"])
def test_a_character_is_shown_when_its_last_byte_comes_and_no_earlier(text: str) -> None:
    decoder = TextDecoder(BYTE_TOKENS)
    data = text.encode()
    assert [decoder.push([byte]) for byte in data] == [""] * (len(data) - 1) + [text]


@given(LETTERS, st.binary(max_size=3), STOPS, st.lists(st.integers(0, 80), max_size=16))
def test_a_choice_of_ids_shows_the_same_for_any_cut_of_its_bytes(
    text: str, rubbish: bytes, stops: list[str], points: list[int]
) -> None:
    data = text.encode() + rubbish
    deltas = [TokenDelta(0, 1, ids=tuple(data[part])) for part in _cut(data, points)]
    assert _through_choice(deltas, stops) == _uncut(data.decode("utf-8", "replace"), stops)


@given(LETTERS, STOPS, st.lists(st.integers(0, 20), max_size=12))
def test_a_choice_of_texts_shows_the_same_as_one_of_ids(text: str, stops: list[str], points: list[int]) -> None:
    parts = [text[part] for part in _cut(text, points)]
    texts = [TokenDelta(0, 1, text=part) for part in parts]
    ids = [TokenDelta(0, 1, ids=tuple(part.encode())) for part in parts]
    assert _through_choice(texts, stops) == _through_choice(ids, stops)


def test_a_replacement_character_at_the_end_can_complete_a_stop_sequence() -> None:
    choice = ChoiceText(TextDecoder(BYTE_TOKENS), ["b\ufffd"])
    assert choice.push(TokenDelta(0, 2, ids=(*b"ab", 0xF0))) == "a"
    assert choice.flush() == ""
    assert choice.stop_reason == "b\ufffd"
