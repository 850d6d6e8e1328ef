"""What the calls of each owner have cost, in a bounded number of series."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.accounts.keys.caller import Caller
from services.accounts.keys.key import Key
from services.chat.accounting.owner_costs import MOST_OWNERS, OTHERS, OwnerCosts


def shown(costs: OwnerCosts) -> dict[Any, float]:
    return {dict(one.attributes or {})["chasqui.owner"]: one.value for one in costs.observe(Any)}  # type: ignore[arg-type]


def test_the_cost_of_calls_is_summed_by_the_owner_of_their_key() -> None:
    costs = OwnerCosts(tuple)
    assert shown(costs) == {"none": 0}
    for owner, cost in (("research", 10**12), ("", 5), ("research", 1)):
        costs.add(Caller("ana", Key("ana", owner, datetime.now(UTC))), cost)
    costs.add(Caller("address:10.0.0.1"), 7)
    assert shown(costs) == {"none": 12e-12, "research": 1.000000000001}


def test_an_owner_is_shown_from_the_key_on_and_not_from_its_first_call() -> None:
    owners = ["research"]
    costs = OwnerCosts(lambda: owners)
    assert shown(costs) == {"none": 0, "research": 0}
    owners = ["sales"]
    costs.add(Caller("ana", Key("ana", "sales", datetime.now(UTC))), 10**12)
    assert shown(costs) == {"none": 0, "research": 0, "sales": 1}


def test_where_owners_are_too_many_those_who_call_are_shown() -> None:
    costs = OwnerCosts(lambda: [f"idle-{number}" for number in range(MOST_OWNERS)])
    costs.add(Caller("ana", Key("ana", "research", datetime.now(UTC))), 10**12)
    assert shown(costs) == {"none": 0, "research": 1}


def test_owners_beyond_the_bound_share_one_series() -> None:
    costs = OwnerCosts(tuple)
    for number in range(MOST_OWNERS + 3):
        costs.add(Caller("ana", Key("ana", f"owner-{number}", datetime.now(UTC))), 1)
    assert len(shown(costs)) == MOST_OWNERS + 1
    assert shown(costs)[OTHERS] == 4e-12
