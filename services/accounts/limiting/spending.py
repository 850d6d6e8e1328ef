"""What tokens have spent, in this process: counted from their first call here, and begun with what the ledger has."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.accounts.limiting.api import SPENDING, Shortage, SpendingUnknown

if TYPE_CHECKING:
    from datetime import datetime

    from services.accounts.limiting.api import Amounts, Budget, Subject

# Beyond it, those that were not used for longest are begun again with their next call: some 50 MB.
MOST_TOKENS: Final = 100_000


@dataclass(slots=True)
class _Spending:
    """Picodollars, with what running calls have `reserved`; how many calls run; and whether any began of late."""

    cost: int
    budget: Budget
    running: int = 0
    reserved: int = 0
    used: bool = False


class Spending:
    """The subjects with a budget by name, the one that was used last at the end."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[str, _Spending] = OrderedDict()

    def begin(self, subject: Subject, spent: int, now: datetime) -> None:
        """Count a subject from what it has spent, unless it is counted already."""
        if subject.budget is not None:
            self._tokens.setdefault(subject.name, _Spending(spent, subject.budget))
            self._forget(now)

    def check(self, subject: Subject, amounts: Amounts) -> None:
        """Shortage if the budget does not allow the amounts, or is spent; SpendingUnknown before `begin`."""
        found = self._tokens.get(subject.name)
        if found is None or subject.budget is None:
            raise SpendingUnknown(subject)
        if found.cost >= subject.budget.cost or found.cost + amounts.cost > subject.budget.cost:
            raise Shortage(subject, SPENDING, None)

    def add(self, subject: Subject, amounts: Amounts) -> None:
        """Count the amounts."""
        found = self._tokens[subject.name]
        found.cost += amounts.cost
        found.reserved += amounts.cost
        found.running += amounts.running
        found.used = True
        self._tokens.move_to_end(subject.name)

    def settle(self, subject: Subject, reserved: int, amounts: Amounts) -> None:
        """A call has ended: give back some of what was counted, and of its cost nothing is reserved any more."""
        found = self._tokens.get(subject.name)
        if found is not None:
            found.cost -= amounts.cost
            found.reserved -= reserved
            found.running -= amounts.running

    def used(self) -> list[str]:
        """The names of those that have called since this was asked last."""
        names = [name for name, found in self._tokens.items() if found.used]
        for name in names:
            self._tokens[name].used = False
        return names

    def raise_to(self, name: str, spent: int) -> None:
        """All servers together have spent so much, and the calls that run here will be added to it."""
        found = self._tokens.get(name)
        if found is not None:
            found.cost = max(found.cost, spent + found.reserved)

    def _forget(self, now: datetime) -> None:
        """Forget up to two subjects that can be: those that are over, or too many."""
        for _ in range(2):
            name, oldest = next(iter(self._tokens.items()))
            if oldest.running:
                self._tokens.move_to_end(name)
            elif oldest.budget.expires_at <= now or len(self._tokens) > MOST_TOKENS:
                del self._tokens[name]
