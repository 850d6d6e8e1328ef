"""The ranges of numeric request fields."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidValue
from services.limits import LIMITS, LOGIT_BIAS, Limit

EVERY = [*LIMITS.values(), LOGIT_BIAS]


@pytest.mark.parametrize(
    ("name", "minimum", "maximum", "default"),
    [
        ("temperature", 0, 2, 1),
        ("top_p", 0, 1, 1),
        ("top_k", -1, 999, 0),
        ("min_p", 0, 1, 0),
        ("repetition_penalty", 0.01, 5, 1),
        ("presence_penalty", -2, 2, 0),
        ("frequency_penalty", -2, 2, 0),
        ("seed", 0, 2**63 - 1, None),
        ("max_tokens", 0, 1_000_000, None),
        ("min_tokens", 0, 1_000_000, 0),
        ("n", 1, 4, 1),
        ("top_logprobs", 0, 20, 0),
    ],
)
def test_the_ranges_are_those_that_the_contract_documents(
    name: str, minimum: float, maximum: float, default: float | None
) -> None:
    limit = LIMITS[name]
    assert (limit.minimum, limit.maximum, limit.default) == (minimum, maximum, default)


@pytest.mark.parametrize("limit", EVERY, ids=lambda limit: limit.parameter)
def test_a_default_lies_within_its_own_range(limit: Limit) -> None:
    if limit.default is not None:
        limit.check(limit.default)
    limit.check(limit.maximum)


@pytest.mark.parametrize("limit", EVERY, ids=lambda limit: limit.parameter)
def test_the_minimum_is_accepted_unless_it_is_exclusive(limit: Limit) -> None:
    if limit.exclusive_minimum:
        with pytest.raises(InvalidValue):
            limit.check(limit.minimum)
    else:
        limit.check(limit.minimum)


@pytest.mark.parametrize("limit", EVERY, ids=lambda limit: limit.parameter)
@pytest.mark.parametrize("beyond", ["below", "above", "nan", "infinite"])
def test_a_value_outside_is_refused_with_its_name_value_and_range(limit: Limit, beyond: str) -> None:
    value = {
        "below": limit.minimum - 1,
        "above": limit.maximum + 1,
        "nan": math.nan,
        "infinite": math.inf,
    }[beyond]
    with pytest.raises(InvalidValue) as caught:
        limit.check(value)
    assert caught.value.message == f"{limit.parameter} is {value}, but must be {limit}."
    assert caught.value.param == limit.parameter


@given(st.floats())
def test_only_probabilities_above_zero_pass_as_top_p(value: float) -> None:
    try:
        LIMITS["top_p"].check(value)
    except InvalidValue:
        accepted = False
    else:
        accepted = True
    assert accepted == (0 < value <= 1)


def test_a_refusal_names_the_place_that_it_was_given() -> None:
    with pytest.raises(InvalidValue) as caught:
        LOGIT_BIAS.check(101, "logit_bias.7")
    assert caught.value.param == "logit_bias.7"
    assert caught.value.message.startswith("logit_bias.7 is 101,")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("temperature", "a number from 0 to 2"),
        ("top_p", "a number above 0, at most 1"),
        ("top_k", "a whole number from -1 to 999"),
        ("repetition_penalty", "a number from 0.01 to 5"),
        ("max_tokens", "a whole number from 0 to 1,000,000"),
        ("seed", "a whole number from 0 to 9,223,372,036,854,775,807"),
    ],
)
def test_a_range_is_told_in_words_with_its_exact_bounds(name: str, words: str) -> None:
    assert str(LIMITS[name]) == words
