"""The double's language model: its logits follow from prompt and position, so that a test can compute them."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# The logit of every token that is not a candidate.
FLOOR = -20.0
_CANDIDATES = 40
# The first of them take turns as the most probable token, so that a greedy completion repeats itself after so many.
_CYCLE = 24
_TURN_BONUS = 1.5
_END_LOGIT = 30.0


class LanguageModel:
    """Ends a completion with `end_token` once, at a length from 16 to 128 that the prompt decides."""

    def __init__(self, plain: Sequence[int], vocabulary_size: int, end_token: int) -> None:
        self.end_token = end_token
        self._plain = plain
        self.size = vocabulary_size
        self._prompts: dict[tuple[int, int], tuple[int, dict[int, float], list[int]]] = {}

    def logits(self, prompt: Sequence[int], ids: Sequence[int]) -> dict[int, float]:
        """The logits after `prompt` and `ids`; a token that is not in them has FLOOR."""
        length, base, cycle = self._facts(prompt)
        logits = dict(base)
        logits[cycle[len(ids) % _CYCLE]] += _TURN_BONUS
        if len(ids) >= length and self.end_token not in ids:
            logits[self.end_token] = _END_LOGIT
        return logits

    def best(self, prompt: Sequence[int], ids: Sequence[int], count: int) -> list[int]:
        """The most probable tokens after `prompt` and `ids`, best first."""
        logits = self.logits(prompt, ids)
        return sorted(logits, key=lambda token: -logits[token])[:count]

    def log_probabilities(self, logits: dict[int, float]) -> dict[int, float]:
        """Log-softmax over the vocabulary, of the tokens in `logits`."""
        rest = (self.size - len(logits)) * math.exp(FLOOR)
        total = math.log(sum(math.exp(logit) for logit in logits.values()) + rest)
        return {token: logit - total for token, logit in logits.items()}

    def _facts(self, prompt: Sequence[int]) -> tuple[int, dict[int, float], list[int]]:
        """Natural length, logits before the turn's bonus, and the cycle; only the prompt's length and start matter."""
        key = (len(prompt), prompt[0])
        if key not in self._prompts:
            source = random.Random(str(key))  # noqa: S311 - no secret
            candidates = source.sample(self._plain, _CANDIDATES)
            base = {token: 1.0 + source.random() for token in candidates}
            self._prompts[key] = (source.randint(16, 128), base, candidates[:_CYCLE])
        return self._prompts[key]
