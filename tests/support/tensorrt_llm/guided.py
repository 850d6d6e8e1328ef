"""Guided decoding in the double, with the library that the real back end `llguidance` uses."""

from __future__ import annotations

from typing import Any

from llguidance import LLMatcher, LLTokenizer

from tests.support.tensorrt_llm.output import RequestError


class GuidedChoice:
    """The tokens that a grammar allows. After the end token its matcher is off, as the real one's is."""

    def __init__(self, tokenizer_json: str, vocabulary_size: int, end_id: int, lark: str) -> None:
        tokenizer = LLTokenizer(tokenizer_json, n_vocab=vocabulary_size, eos_token=end_id)
        self._end_id = end_id
        self._ended = False
        self._matcher: Any = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(lark))
        if self._matcher.is_error():
            raise RequestError(f"Guided decoding error: {self._matcher.get_error()}")

    def allowed(self) -> set[int] | None:
        """The ids that may come next, of which the end is taken as soon as it is allowed; None: any."""
        if self._ended:
            return None
        mask = self._matcher.compute_bitmask()
        allowed = {index for index in range(len(mask) * 8) if mask[index // 8] >> (index % 8) & 1}
        return {self._end_id} if self._end_id in allowed else allowed

    def accept(self, token: int) -> None:
        """Advance by a sampled token."""
        if not self._ended:
            self._matcher.consume_token(token)
            self._ended = token == self._end_id
