"""Texts that come again are encoded once, within a bound of characters."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat.request.token_cache import TokenCache
from services.engine.model.tokenizer import TooManyTokensError


class CountingTokenizer:
    """A token for each character; notes what it has encoded."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, text: str, most: int | None = None) -> list[int]:
        if most is not None and len(text) > most:
            raise TooManyTokensError(len(text))
        self.encoded.append(text)
        return [ord(character) for character in text]


def cache(most_characters: int = 1600) -> tuple[TokenCache, CountingTokenizer]:
    tokenizer = CountingTokenizer()
    return TokenCache(cast("Any", tokenizer), most_characters), tokenizer


@given(st.lists(st.text(max_size=120)))
def test_the_ids_are_those_of_the_tokenizer(texts: list[str]) -> None:
    cached, _ = cache(most_characters=320)
    for text in texts:
        assert list(cached.encode(text)) == [ord(character) for character in text]


def test_a_text_that_comes_again_is_not_encoded_again() -> None:
    cached, tokenizer = cache()
    for _ in range(3):
        cached.encode("system prompt")
    assert tokenizer.encoded == ["system prompt"]


def test_the_texts_used_last_stay_when_the_bound_is_reached() -> None:
    cached, tokenizer = cache()
    texts = [f"{number:100}" for number in range(17)]
    for text in texts[:16]:
        cached.encode(text)
    cached.encode(texts[0])
    cached.encode(texts[16])
    del tokenizer.encoded[:]
    cached.encode(texts[0])
    cached.encode(texts[1])
    assert tokenizer.encoded == [texts[1]]


def test_a_text_that_would_displace_the_others_is_not_kept() -> None:
    cached, tokenizer = cache()
    for _ in range(2):
        cached.encode("x" * 100)
        cached.encode("y" * 101)
    assert tokenizer.encoded == ["x" * 100, "y" * 101, "y" * 101]


def test_a_text_with_too_many_tokens_is_refused_and_not_kept() -> None:
    cached, tokenizer = cache()
    with pytest.raises(TooManyTokensError):
        cached.encode("four", 3)
    assert list(cached.encode("four", 4)) == [ord(character) for character in "four"]
    assert tokenizer.encoded == ["four"]
