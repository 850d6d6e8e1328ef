"""Amounts of the last minute, in steps."""

from __future__ import annotations

from services.accounts.limiting.api import STEP, STEPS, Gauge


class Window:
    """A sum over the steps of the last minute. Steps are numbered; time never runs backwards."""

    def __init__(self) -> None:
        self._total = 0
        self._amounts: dict[int, int] = {}  # by step, the oldest first

    def sum(self, step: int) -> int:
        """The sum over the minute before now; what is older is forgotten."""
        while self._amounts and (oldest := next(iter(self._amounts))) <= step - STEPS:
            self._total -= self._amounts.pop(oldest)
        return self._total

    def add(self, step: int, amount: int) -> None:
        """Count an amount now."""
        if step in self._amounts:
            self._amounts[step] += amount
        else:
            self.sum(step)
            self._amounts[step] = amount
        self._total += amount

    def give_back(self, step: int, amount: int) -> None:
        """Take off an amount that was counted at a step, unless that is a minute ago."""
        if step in self._amounts:
            self._amounts[step] -= amount
            self._total -= amount

    def wait(self, step: int, excess: int) -> float:
        """Seconds until so much has left the window."""
        for old, amount in self._amounts.items():
            excess -= amount
            if excess <= 0:
                return (old + STEPS - step) * STEP
        return 0.0

    def gauge(self, step: int, limit: int) -> Gauge:
        """How a limit stands."""
        left = limit - self.sum(step)
        newest = next(reversed(self._amounts), step - STEPS)
        return Gauge(limit, left if left > 0 else 0, (newest + STEPS - step) * STEP)
