"""Checks generated text against its grammar, because llama.cpp may stop enforcing it.

llama.cpp continues without the grammar, and reports that on stderr only, when the grammar exceeds one of llguidance's
limits on the work per token. The check has no such limits and costs 3 µs per token, in the thread of the call.
"""

from __future__ import annotations

from typing import Any


class GrammarFollower:
    """The state of one grammar in each of `n` choices."""

    def __init__(self, grammar: str, n: int) -> None:
        from llguidance import LLMatcher, LLTokenizer  # only calls with a grammar need it

        first = LLMatcher(LLTokenizer("byte"), grammar, log_level=0)
        self._matchers = [first, *(first.deep_copy() for _ in range(n - 1))]

    def allows(self, message: dict[str, Any]) -> bool:
        """Whether the text and finish reasons in a message of llama.cpp satisfy the grammar."""
        for choice in message.get("choices", ()):
            matcher = self._matchers[choice["index"]]
            text = choice["text"].encode()
            if text and not matcher.consume_tokens(list(text)):
                return False
            if choice["finish_reason"] == "stop" and not matcher.is_accepting():
                return False
        return True
