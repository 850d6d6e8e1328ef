"""Log probabilities of a text, scored as a prompt, against those of the same text as it was generated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from openai import OpenAI

TOKENS = 8


def assert_scored_as_generated(client: OpenAI, model: str, prompt: str) -> None:
    """AssertionError unless a greedy continuation of the prompt scores as it did when it was generated."""
    generated = client.completions.create(model=model, prompt=prompt, temperature=0, max_tokens=TOKENS, logprobs=1)
    choice = generated.choices[0]
    assert choice.logprobs
    scored = client.completions.create(
        model=model, prompt=prompt + choice.text, temperature=0, max_tokens=0, echo=True, logprobs=1
    )
    assert scored.choices[0].text == prompt + choice.text
    entries = scored.choices[0].logprobs
    assert entries
    assert entries.tokens
    assert entries.token_logprobs
    assert choice.logprobs.tokens
    assert choice.logprobs.token_logprobs
    assert entries.tokens[-TOKENS:] == choice.logprobs.tokens
    # A prompt is computed in batches of other sizes than a token that follows, which moves its logits a little.
    scores, expected = entries.token_logprobs[-TOKENS:], choice.logprobs.token_logprobs
    if scores != pytest.approx(expected, abs=0.4):
        raise AssertionError(f"scored {scores}, generated {expected}")
