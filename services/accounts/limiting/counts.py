"""What one subject has used: in the last minute, at the moment, on this day and in this month."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.accounts.limiting.api import STEPS
from services.accounts.limiting.window import Window

if TYPE_CHECKING:
    from services.accounts.keys.limits import Limits
    from services.accounts.limiting.api import Amounts, Grant


class Counts:
    """To be moved to the present with `advance` before anything is asked of it, unless `step` is the present one."""

    __slots__ = ("_day", "_month", "calls", "running", "spent", "step", "tokens")

    def __init__(self) -> None:
        self.step = -1
        self.calls = Window()
        self.tokens = Window()
        self.running = 0
        self.spent: dict[str, int] = {}  # picodollars by day and by month
        self._day = self._month = ""

    def advance(self, step: int, day: str, month: str) -> None:
        """It is this step, day and month now."""
        self.step = step
        self.calls.advance(step)
        self.tokens.advance(step)
        if day != self._day:  # days before it are over, and calls that began then are settled there no more
            self.spent = {day: self.spent.get(day, 0), month: self.spent.get(month, 0)}
            self._day, self._month = day, month

    def is_empty(self, step: int, month: str) -> bool:
        """Whether new counts would be the same at this step: nothing runs, and nothing of the month was spent."""
        return not self.running and not self.spent.get(month) and step - self.step >= STEPS

    def exceeded(self, limits: Limits, amounts: Amounts) -> str | None:
        """The name of the limit that does not allow the amounts, or of a budget that is spent."""
        limit = limits.calls_per_minute
        if limit is not None and amounts.calls and self.calls.total + amounts.calls > limit:
            return "calls_per_minute"
        limit = limits.tokens_per_minute
        if limit is not None and amounts.tokens and self.tokens.total + amounts.tokens > limit:
            return "tokens_per_minute"
        limit = limits.concurrent_calls
        if limit is not None and amounts.running and self.running + amounts.running > limit:
            return "concurrent_calls"
        cost = amounts.cost
        limit = limits.per_day
        if limit is not None and not cost <= limit - self.spent[self._day] > 0:
            return "usd_per_day"
        limit = limits.per_month
        if limit is not None and not cost <= limit - self.spent[self._month] > 0:
            return "usd_per_month"
        return None

    def take(self, amounts: Amounts) -> None:
        """Count the amounts."""
        if amounts.calls:
            self.calls.add(amounts.calls)
        if amounts.tokens:
            self.tokens.add(amounts.tokens)
        self.running += amounts.running
        if amounts.cost:
            self.spent[self._day] += amounts.cost
            self.spent[self._month] += amounts.cost

    def give_back(self, grant: Grant, amounts: Amounts) -> None:
        """Give back some of what was taken."""
        if amounts.calls:
            self.calls.give_back(grant.step, amounts.calls)
        if amounts.tokens:
            self.tokens.give_back(grant.step, amounts.tokens)
        self.running -= amounts.running
        if amounts.cost:
            for period in (grant.day, grant.month):
                if period in self.spent:
                    self.spent[period] -= amounts.cost
