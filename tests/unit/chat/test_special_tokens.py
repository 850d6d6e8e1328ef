"""Finding and hiding the special tokens that a text spells."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from services.chat.request.special_tokens import SpecialTokens

SPELLINGS = st.lists(st.text("<|ab>.*", min_size=1, max_size=4), max_size=8, unique=True)


@given(SPELLINGS, st.text("<|ab>.*c", max_size=30))
def test_a_text_is_cut_at_the_longest_spelling_at_each_position(spellings: list[str], text: str) -> None:
    longest_first = sorted(spellings, key=len, reverse=True)
    plain = re.compile("(" + ("|".join(map(re.escape, longest_first)) or "(?!)") + ")")
    assert SpecialTokens(spellings).split(text) == plain.split(text)


@given(SPELLINGS, st.text("<|ab>.*c", max_size=30))
def test_hidden_spellings_come_back_and_are_not_found_before(spellings: list[str], text: str) -> None:
    special = SpecialTokens(spellings)
    hidden = special.hide({text: [text, None, 1]}, "\ue000")
    (key, value), *_ = hidden.items()
    assert special.split(key.replace("\ue000", "\ue000c")) == [key.replace("\ue000", "\ue000c")]
    assert special.reveal(key, "\ue000") == special.reveal(value[0], "\ue000") == text
    assert value[1:] == [None, 1]


def test_one_of_thousands_of_tokens_is_found_behind_many_characters_that_begin_one() -> None:
    special = SpecialTokens([f"<unused{number}>" for number in range(6000)])
    assert special.split("<a>" * 100_000 + "<unused5999>")[1] == "<unused5999>"
