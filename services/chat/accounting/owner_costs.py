"""What the calls of each owner of keys have cost, as a metric of a bounded number of series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry import metrics
from opentelemetry.metrics import Observation

from services.accounts.prices.money import PICODOLLARS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from opentelemetry.metrics import CallbackOptions

    from services.accounts.keys.caller import Caller

MOST_OWNERS: Final = 100
NO_OWNER: Final = "none"
OTHERS: Final = "others"


class OwnerCosts:
    """Sums by owner; beyond `MOST_OWNERS` the others share one. Added to in one thread, observed in another."""

    def __init__(self, owners: Callable[[], Collection[str]]) -> None:
        """`owners` returns those who have keys: unless they are too many, each has a series before its first call.

        The rate of a series says nothing about the value that it begins with.
        """
        self._owners = owners
        self._costs = {NO_OWNER: 0}  # in picodollars
        metrics.get_meter("chasqui.server").create_observable_counter(
            "chasqui.owner.cost", [self.observe], "USD", "Estimated cost of the calls, by the owner of their key."
        )

    def add(self, caller: Caller, cost: int) -> None:
        """Count a call that cost so many picodollars."""
        owner = NO_OWNER if caller.key is None else caller.key.owner or NO_OWNER
        if owner not in self._costs and len(self._costs) >= MOST_OWNERS:
            owner = OTHERS
        self._costs[owner] = self._costs.get(owner, 0) + cost

    def observe(self, _: CallbackOptions) -> Iterator[Observation]:
        """The sums in USD."""
        owners = self._owners()
        if len(owners) < MOST_OWNERS:
            for owner in owners:
                self._costs.setdefault(owner, 0)
        for owner, cost in list(self._costs.items()):
            yield Observation(cost / PICODOLLARS, {"chasqui.owner": owner})
