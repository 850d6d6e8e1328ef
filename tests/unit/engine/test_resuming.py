"""Which generations can be interrupted and resumed, and what is left of one that was."""

from __future__ import annotations

from typing import Any

import pytest

from services.engine.api import Generation, Sampling

PROMPT = (1, 2, 3)


@pytest.mark.parametrize(
    ("fields", "can"),
    [
        ({}, True),
        ({"min_tokens": 5, "stop_token_ids": frozenset({9}), "top_logprobs": 3}, True),
        ({"sampling": Sampling(presence_penalty=0.5, frequency_penalty=0.5, repetition_penalty=1.1)}, True),
        ({"n": 2}, False),
        ({"grammar": "start: /a*/"}, False),
        ({"prompt_logprobs": True, "top_logprobs": 1}, False),
        ({"sampling": Sampling(seed=0)}, False),
        ({"sampling": Sampling(seed=7, temperature=0)}, True),
        ({"sampling": Sampling(seed=7, top_k=1)}, True),
        ({"sampling": Sampling(seed=7, top_p=0)}, True),
    ],
)
def test_a_generation_can_be_resumed_unless_that_would_change_what_it_answers(
    fields: dict[str, Any], can: bool
) -> None:
    assert Generation(PROMPT, 20, **fields).can_resume == can


def test_what_is_generated_already_is_context_and_counts_for_the_limits() -> None:
    whole = Generation(PROMPT, 20, min_tokens=3)
    assert (list(whole.context), whole.tokens_left, whole.min_tokens_left) == ([1, 2, 3], 20, 3)
    resumed = Generation(PROMPT, 20, min_tokens=3, generated=(4, 5))
    assert (list(resumed.context), resumed.tokens_left, resumed.min_tokens_left) == ([1, 2, 3, 4, 5], 18, 1)
    assert Generation(PROMPT, 20, min_tokens=1, generated=(4, 5)).min_tokens_left == 0
