"""Amounts of the last minute, in steps."""

from __future__ import annotations

from collections import defaultdict

from services.accounts.limiting.api import STEP, STEPS, Gauge


class Window:
    """A sum over the steps of the last minute. Steps are numbered; time never runs backwards."""

    __slots__ = ("_amounts", "_newest", "step", "total")

    def __init__(self) -> None:
        self.step = -1
        self.total = 0
        self._amounts = defaultdict[int, int](int)  # by step, the oldest first
        self._newest = -STEPS  # the last step at which something was counted

    def advance(self, step: int) -> None:
        """It is this step now: forget what is older than a minute."""
        self.step = step
        while self._amounts and (oldest := next(iter(self._amounts))) <= step - STEPS:
            self.total -= self._amounts.pop(oldest)

    def add(self, amount: int) -> None:
        """Count an amount now."""
        self._amounts[self.step] += amount
        self._newest = self.step
        self.total += amount

    def give_back(self, step: int, amount: int) -> None:
        """Take off an amount that was counted at a step, unless that is a minute ago."""
        if step in self._amounts:
            self._amounts[step] -= amount
            self.total -= amount

    def wait(self, excess: int) -> float:
        """Seconds until so much has left the window."""
        for old, amount in self._amounts.items():
            excess -= amount
            if excess <= 0:
                return (old + STEPS - self.step) * STEP
        return 0.0

    def gauge(self, limit: int) -> Gauge:
        """How a limit stands."""
        left, steps = limit - self.total, self._newest + STEPS - self.step
        return Gauge(limit, left if left > 0 else 0, steps * STEP if steps > 0 else 0.0)
