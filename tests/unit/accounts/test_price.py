"""What tokens cost: exact, and never rounded."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.accounts.prices.money import usd_of
from services.accounts.prices.price import price_of, tier_prices
from services.service_tier import ServiceTier
from services.settings import Settings, SettingsError
from tests.support.wording import is_one_sentence


def test_the_tiers_have_the_price_times_their_factors() -> None:
    prices = tier_prices(price_of("0.055,0.02,0.1"), Settings(priority_price=1.5, flex_price=0.8))
    assert [prices[tier].cost(10, 4, 3) for tier in ServiceTier] == [
        factor * price_of("0.055,0.02,0.1").cost(10, 4, 3) // 10 for factor in (15, 10, 8)
    ]
    assert prices[ServiceTier.FLEX].version == "CHASQUI_PRICE=0.055,0.02,0.1 CHASQUI_FLEX_PRICE=0.8"


def test_the_price_of_a_tier_is_rounded_to_six_decimals() -> None:
    prices = tier_prices(price_of("0.000001"), Settings(priority_price=1.5, flex_price=0.4))
    assert [prices[tier].prompt for tier in ServiceTier] == [Decimal("0.000002"), Decimal("0.000001"), 0]


def test_one_price_is_that_of_all_tokens() -> None:
    assert price_of("0.055").cost(10, 4, 3) == 715_000


def test_prompt_cached_prompt_and_completion_may_cost_differently() -> None:
    price = price_of("3, 0.3, 15")
    assert usd_of(price.cost(10, 4, 2)) == Decimal(6 * 3 + 30) / 10**6 + Decimal("0.0000012")
    assert price.highest_cost(10, 2) == price.cost(10, 0, 2)


def test_what_a_call_may_cost_is_known_where_cached_tokens_cost_more() -> None:
    price = price_of("0.3,3,15")
    assert price.highest_cost(10, 2) == price.cost(10, 10, 2)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=50))
def test_the_cost_of_calls_together_is_the_sum_of_their_costs(calls: list[tuple[int, int]]) -> None:
    price = price_of("0.000001,0.333333,999999.999999")
    together = price.cost(sum(prompt for prompt, _ in calls), 0, sum(completion for _, completion in calls))
    assert sum(price.cost(prompt, 0, completion) for prompt, completion in calls) == together


@pytest.mark.parametrize(
    "text", ["", "cheap", "-1", "1,2", "1,2,3,4", "nan", "inf", "1e9", "0.0000001", "1,,1", "1000001"]
)
def test_what_is_no_price_is_one_sentence(text: str) -> None:
    with pytest.raises(SettingsError) as raised:
        price_of(text)
    assert "CHASQUI_PRICE" in str(raised.value)
    assert is_one_sentence(str(raised.value))
