"""Follows answers with the grammar that they must satisfy, beside an engine that may stop enforcing it.

llama.cpp goes on without a grammar, and says so on stderr alone, when the grammar meets one of llguidance's limits on
the work for a token. Following costs less than that: 3 µs per token, in the thread of the call.
"""

from __future__ import annotations

from typing import Any


class GrammarFollower:
    """The state of one grammar in each of `n` answers."""

    def __init__(self, grammar: str, n: int) -> None:
        from llguidance import LLMatcher, LLTokenizer  # only calls with a grammar need it

        first = LLMatcher(LLTokenizer("byte"), grammar, log_level=0)
        self._matchers = [first, *(first.deep_copy() for _ in range(n - 1))]

    def allows(self, message: dict[str, Any]) -> bool:
        """Whether what a message of llama.cpp adds to its choices keeps to the grammar, their ends included."""
        for choice in message.get("choices", ()):
            matcher = self._matchers[choice["index"]]
            text = choice["text"].encode()
            if text and not matcher.consume_tokens(list(text)):
                return False
            if choice["finish_reason"] == "stop" and not matcher.is_accepting():
                return False
        return True
