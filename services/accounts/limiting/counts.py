"""What one subject has used: in the last minute, at the moment, on this day and in this month."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

    def exceeded(self, limits: Limits, amounts: Amounts) -> str | None:
        """The name of the limit that does not allow the amounts, or of a budget that is spent."""
        calls, running, tokens, cost = amounts
        limit = limits.calls_per_minute
        if limit is not None and calls and self.calls.total + calls > limit:
            return "calls_per_minute"
        limit = limits.tokens_per_minute
        if limit is not None and tokens and self.tokens.total + tokens > limit:
            return "tokens_per_minute"
        limit = limits.concurrent_calls
        if limit is not None and running and self.running + running > limit:
            return "concurrent_calls"
        limit = limits.per_day
        if limit is not None and not cost <= limit - self.spent[self._day] > 0:
            return "usd_per_day"
        limit = limits.per_month
        if limit is not None and not cost <= limit - self.spent[self._month] > 0:
            return "usd_per_month"
        return None

    def take(self, amounts: Amounts) -> None:
        """Count the amounts."""
        calls, running, tokens, cost = amounts
        if calls:
            self.calls.add(calls)
        if tokens:
            self.tokens.add(tokens)
        self.running += running
        if cost:
            self.spent[self._day] += cost
            self.spent[self._month] += cost

    def give_back(self, grant: Grant, amounts: Amounts) -> None:
        """Give back some of what was taken."""
        calls, running, tokens, cost = amounts
        if calls:
            self.calls.give_back(grant.step, calls)
        if tokens:
            self.tokens.give_back(grant.step, tokens)
        self.running -= running
        if cost:
            for period in (grant.day, grant.month):
                if period in self.spent:
                    self.spent[period] -= cost
