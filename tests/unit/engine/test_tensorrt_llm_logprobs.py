"""TensorRT-LLM's log probabilities, translated."""

from __future__ import annotations

import math

import pytest

from services.engine.api import TokenLogprob
from services.engine.tensorrt_llm.logprobs import LOWEST, LogprobsError, token_logprobs
from tests.support.tensorrt_llm.sampler import Logprob


def text(token: int) -> bytes:
    return f"<{token}>".encode()


def test_candidates_come_by_rank_and_as_many_as_were_asked_for() -> None:
    reported = {7: Logprob(-2.0, 3), 5: Logprob(-0.5, 1), 6: Logprob(-1.0, 2)}
    assert token_logprobs([7], [reported], 2, text) == [TokenLogprob(b"<7>", -2.0, [(b"<5>", -0.5), (b"<6>", -1.0)])]


def test_a_sampled_token_that_is_not_reported_has_openai_s_lowest_value() -> None:
    assert token_logprobs([9], [{5: Logprob(-0.5, 1)}], 0, text) == [TokenLogprob(b"<9>", LOWEST, [])]


def test_minus_infinity_becomes_the_lowest_value_too() -> None:
    reported = {5: Logprob(-math.inf, 1)}
    assert token_logprobs([5], [reported], 1, text) == [TokenLogprob(b"<5>", -9999.0, [(b"<5>", -9999.0)])]


def test_entries_of_tokens_that_were_cut_off_are_not_read() -> None:
    assert [entry.data for entry in token_logprobs([5], [{5: Logprob(-0.5, 1)}, 0.3], 0, text)] == [b"<5>"]


@pytest.mark.parametrize(
    ("reported", "why"),
    [([], "reported 0 log probabilities for 1 tokens"), ([-0.5], "not understood"), ([{5: -0.5}], "not understood")],
)
def test_what_does_not_go_with_the_tokens_is_an_error(reported: list[object], why: str) -> None:
    with pytest.raises(LogprobsError, match=why):
        token_logprobs([5], reported, 1, text)
