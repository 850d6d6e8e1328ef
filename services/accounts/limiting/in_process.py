"""Counts in this process, for one server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from services.accounts.keys.key import AccountsError
from services.accounts.limiting.api import STEP, Grant, Shortage, Standing
from services.accounts.limiting.counts import Counts
from services.accounts.limiting.period import Periods, until_next
from services.accounts.limiting.spending import Spending
from services.accounts.prices.money import picodollars_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from services.accounts.limiting.api import Amounts, Gauge, Spent, Subject, TokenSpent

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
SHARED_SECONDS = 10.0
"""How often the spending of tokens that have called is read from the ledger, to which other servers may add."""


class InProcess:
    """Implements `LimitStore`. Remembered are the subjects of the last minute, and those that spent in this month."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`clock` is in seconds; `now` has days and months."""
        self.available = True
        self._clock = clock
        self._now = now
        self._periods = Periods()
        self._step = -1  # the last one at which something was counted, and the day and month that it was then
        self._day = self._month = ""
        self._counts = OrderedDict[str, Counts]()  # by the subject's name; those with calls stay
        self._spending = Spending()

    async def take(self, subjects: Sequence[Subject], amounts: Amounts) -> Grant:
        """Count the amounts for every subject; Shortage if a limit of one does not allow it, SpendingUnknown."""
        step = int(self._clock() / STEP)
        if step != self._step:
            self._step = step
            self._day, self._month = self._periods.of(self._now())
        counted = []
        for subject in subjects:
            if subject.budget is not None:
                self._spending.check(subject, amounts)
                continue
            counts = self._counts.get(subject.name) or self._new(subject.name)
            if counts.step != step:
                counts.advance(step, self._day, self._month)
            limit = counts.exceeded(subject.limits, amounts)
            if limit is not None:
                wait = _wait(limit, subject, counts, amounts, self._now())
                standing = self.standing(Grant([subject], amounts, step, self._day, self._month))
                raise Shortage(subject, limit, wait, standing)
            counted.append(counts)
        for counts in counted:
            counts.take(amounts)
        if len(counted) < len(subjects):
            for subject in subjects:
                if subject.budget is not None:
                    self._spending.add(subject, amounts)
        return Grant(subjects, amounts, step, self._day, self._month)

    def standing(self, grant: Grant) -> Standing:
        """How the limits stand now."""
        calls: Gauge | None = None
        tokens: Gauge | None = None
        for subject in reversed(grant.subjects):
            limits = subject.limits
            if limits.calls_per_minute is not None:
                calls = self._counts[subject.name].calls.gauge(limits.calls_per_minute)
            if limits.tokens_per_minute is not None:
                tokens = self._counts[subject.name].tokens.gauge(limits.tokens_per_minute)
        return Standing(calls, tokens)

    async def begin(self, subject: Subject, spent: int) -> None:
        """Count a subject with a budget from what it has spent, unless it is counted already."""
        self._spending.begin(subject, spent, self._now())

    def give_back(self, grant: Grant, amounts: Amounts) -> None:
        """Give back some of what was taken."""
        for subject in grant.subjects:
            if subject.budget is None:
                self._counts[subject.name].give_back(grant, amounts)
            else:
                self._spending.settle(subject, grant.amounts.cost, amounts)

    def spent(self, names: Sequence[str]) -> Mapping[str, tuple[int, int]]:
        """Picodollars of this day and of this month by the subject's name, where they are known."""
        day, month = self._periods.of(self._now())
        known = [(name, self._counts.get(name)) for name in names]
        return {name: (one.spent.get(day, 0), one.spent.get(month, 0)) for name, one in known if one is not None}

    async def run(self, spent: Spent, token_spent: TokenSpent) -> None:
        """Count what was spent before this server began, and from then on what tokens spend at other servers."""
        await self._count(spent)
        while True:
            await asyncio.sleep(SHARED_SECONDS)
            try:
                for name in self._spending.used():
                    key, _, token = name.partition(":")
                    amount = await asyncio.to_thread(token_spent, key, token)
                    self._spending.raise_to(name, picodollars_of(amount))
            except AccountsError as error:
                log.warning("what tokens have spent at other servers cannot be read: %s", error)

    async def _count(self, spent: Spent) -> None:
        """Add what the ledger has of this day and month."""
        while True:
            try:
                before = await asyncio.to_thread(spent)
                break
            except AccountsError as error:
                log.warning("budgets begin with nothing spent, for the ledger cannot be read: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
        now = self._now()
        for name, (of_day, of_month) in before.items():
            counts = (self._counts.get(name) or self._new(name)).spent
            for period, amount in zip(self._periods.of(now), (of_day, of_month), strict=True):
                counts[period] = counts.get(period, 0) + picodollars_of(amount)

    async def close(self) -> None:
        """There are no connections."""

    def _new(self, name: str) -> Counts:
        """Begin to count a subject, and forget up to two others that need not be remembered."""
        step, (_, month) = int(self._clock() / STEP), self._periods.of(self._now())
        for oldest in tuple(islice(self._counts, 2)):
            if self._counts[oldest].is_empty(step, month):
                del self._counts[oldest]
            else:
                self._counts.move_to_end(oldest)
        counts = self._counts[name] = Counts()
        return counts


def _wait(limit: str, subject: Subject, counts: Counts, amounts: Amounts, now: datetime) -> float | None:
    """Seconds until the amounts are allowed by a limit that they exceed; None if they never are."""
    limits = subject.limits
    if limit.startswith("usd"):
        return until_next(limit, now)
    if limit == "concurrent_calls":
        return 1.0 if limits.concurrent_calls else None
    window, amount = (counts.calls, amounts.calls) if limit == "calls_per_minute" else (counts.tokens, amounts.tokens)
    most: int = getattr(limits, limit)
    return window.wait(window.total + amount - most) if amount <= most else None
