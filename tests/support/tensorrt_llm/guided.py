"""Guided decoding in the double, with the library that the real back end `llguidance` uses."""

from __future__ import annotations

from typing import Any

from llguidance import LLMatcher, LLTokenizer

from tests.support.tensorrt_llm.output import RequestError


class GuidedChoice:
    """Picks ids that the grammar allows, and the end as soon as that is allowed."""

    def __init__(self, tokenizer_json: str, vocabulary_size: int, end_id: int, lark: str) -> None:
        tokenizer = LLTokenizer(tokenizer_json, n_vocab=vocabulary_size, eos_token=end_id)
        self._end_id = end_id
        self._matcher: Any = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(lark))
        if self._matcher.is_error():
            raise RequestError(f"Guided decoding error: {self._matcher.get_error()}")

    def __call__(self, continuation: Any) -> int:
        """The next id of the sequence."""
        mask = self._matcher.compute_bitmask()
        allowed = [index for index in range(len(mask) * 8) if mask[index // 8] >> (index % 8) & 1]
        token = self._end_id if self._end_id in allowed else continuation.source.choice(allowed)
        self._matcher.consume_token(token)
        return token
