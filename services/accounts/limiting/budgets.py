"""How much of their budgets those who call have spent, for the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.accounts.keys.limits import Limits
    from services.accounts.limiting.api import KeyIsOver, LimitStore, Subject

_MOST_SUBJECTS: Final = 1000
MOST_SHOWN: Final = 20
"""Budgets that are in the metrics at a time: those of which the largest share is spent."""


class Budgets:
    """The budgets of those who have called since this server began, and whose key is not over."""

    def __init__(self, is_over: KeyIsOver) -> None:
        self._is_over = is_over
        self._limits: dict[str, Limits] = {}  # by the subject's name

    def note(self, subject: Subject) -> None:
        """A subject has called, with the limits that it has now."""
        name, limits = subject.name, subject.limits
        if limits.per_day is None and limits.per_month is None:
            self._limits.pop(name, None)
        elif name in self._limits or len(self._limits) < _MOST_SUBJECTS:
            self._limits[name] = limits

    def forget(self, name: str) -> None:
        """Who has that name will not call again."""
        self._limits.pop(name, None)

    def shares(self, store: LimitStore) -> Sequence[tuple[str, str, float]]:
        """Name, limit and spent share of the budgets that are spent most; may be called in another thread."""
        known = {name: limits for name, limits in dict(self._limits).items() if not self._is_over(name)}
        found = []
        for name, spent in store.spent(tuple(known)).items():
            limits = known[name]
            budgets = (("usd_per_day", limits.per_day), ("usd_per_month", limits.per_month))
            for (limit, budget), amount in zip(budgets, spent, strict=True):
                if budget is not None:
                    found.append((name, limit, amount / budget if budget else 1.0))
        return sorted(found, key=lambda share: -share[2])[:MOST_SHOWN]
