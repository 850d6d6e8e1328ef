"""Log probabilities follow the visible text: their bytes are its bytes, wherever tokens and stop sequences cut it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chasqui.v1 import chat_pb2
from services.chat.answer.text import ChoiceText
from services.engine.api import TokenDelta, TokenLogprob
from services.engine.model.tokenizer import TextDecoder

BYTE_TOKENS = [bytes([byte]) for byte in range(256)]
LETTERS = "ab🦙世e\u0301"


def through(tokens: list[bytes], stops: list[str]) -> tuple[str, list[chat_pb2.TokenLogprob], int]:
    """The text and the entries of a choice, and the largest number of characters that entries ran ahead of it."""
    choice = ChoiceText(TextDecoder(BYTE_TOKENS), stops, logprobs=True)
    delivered: list[chat_pb2.TokenLogprob] = []
    text, ahead = "", 0
    for number, token in enumerate(tokens):
        new = choice.push(TokenDelta(0, 1, logprobs=[TokenLogprob(token, -float(number))]))
        text += new
        delivered += choice.logprobs(len(new), last=choice.stop_reason is not None)
        ahead = max(ahead, len(b"".join(entry.bytes for entry in delivered)) - len(text.encode()))
        if choice.stop_reason is not None:
            return text, delivered, ahead
    new = choice.flush()
    return text + new, [*delivered, *choice.logprobs(len(new), last=True)], ahead


@pytest.mark.parametrize(
    ("tokens", "stops", "expected"),
    [
        ([b"Hello", b" you"], [], [b"Hello", b" you"]),
        ([b"Hello", b"", b" you"], [], [b"Hello", b" you"]),
        ([b"one", b" END", b" two"], [" END"], [b"one"]),
        ([b"one", b" E", b"ND"], ["END"], [b"one", b" "]),
        ([b"abcd"], ["c"], [b"ab"]),
        ([b"a", b"bc", b"d"], ["bce"], [b"a", b"bc", b"d"]),
        ([b"a", b"stop"], ["astop"], []),
        (["🦙".encode()[:1], "🦙".encode()[1:] + b"x"], ["x"], ["🦙".encode()[:1], "🦙".encode()[1:]]),
        ([b"a" + "世".encode()[:2], "世".encode()[2:]], ["世"], [b"a"]),
        ([b"a", b"\xf0\x9f"], [], [b"a", b"\xf0\x9f"]),
        ([b"\xff\xffend"], ["end"], [b"\xff\xff"]),
        ([b"\xf0\x9fend"], ["end"], [b"\xf0\x9f"]),
    ],
)
def test_entries_stand_for_the_visible_bytes(tokens: list[bytes], stops: list[str], expected: list[bytes]) -> None:
    _, delivered, _ = through(tokens, stops)
    assert [entry.bytes for entry in delivered] == expected


@given(st.text(st.sampled_from(LETTERS), max_size=12), st.data())
def test_bytes_add_up_to_the_text_for_every_cut_and_stop(whole: str, data: st.DataObject) -> None:
    raw = whole.encode()
    points = sorted(data.draw(st.sets(st.integers(0, len(raw)))) | {0, len(raw)})
    tokens = [raw[start:end] for start, end in pairwise(points)]
    stops = data.draw(st.lists(st.text(st.sampled_from(LETTERS), min_size=1, max_size=3), max_size=2))
    text, delivered, ahead = through(tokens, stops)
    assert b"".join(entry.bytes for entry in delivered).decode() == text
    assert ahead <= 0, "an entry was delivered before its text was shown"
    assert [entry.logprob for entry in delivered] == [-float(number) for number in range(len(delivered))]


@given(st.lists(st.binary(min_size=1, max_size=4), max_size=8))
def test_bytes_that_are_no_utf8_add_up_to_the_text_too(tokens: list[bytes]) -> None:
    text, delivered, _ = through(tokens, [])
    assert [entry.bytes for entry in delivered] == tokens
    assert b"".join(tokens).decode("utf-8", "replace") == text


def test_an_entry_has_text_bytes_and_candidates() -> None:
    choice = ChoiceText(TextDecoder(BYTE_TOKENS), [], logprobs=True)
    shown = choice.push(TokenDelta(0, 1, logprobs=[TokenLogprob(b"a", -0.5, [(b"a", -0.5), (b"\xf0", -2.0)])]))
    assert list(choice.logprobs(len(shown))) == [
        chat_pb2.TokenLogprob(
            token="a",
            logprob=-0.5,
            bytes=b"a",
            top_logprobs=[
                chat_pb2.TopLogprob(token="a", logprob=-0.5, bytes=b"a"),
                chat_pb2.TopLogprob(token="\ufffd", logprob=-2.0, bytes=b"\xf0"),
            ],
        )
    ]
