"""Counts in this process, for one server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from services.accounts.key import AccountsError
from services.accounts.limiting.api import STEP, Grant, Shortage, Standing
from services.accounts.limiting.period import Periods, until_next
from services.accounts.limiting.spending import Spending
from services.accounts.limiting.window import Window
from services.accounts.money import picodollars_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from services.accounts.limiting.api import Amounts, Gauge, Spent, Subject

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0


@dataclass(slots=True)
class _Counts:
    """What a subject has used."""

    calls: Window = field(default_factory=Window)
    tokens: Window = field(default_factory=Window)
    running: int = 0
    spent: dict[str, int] = field(default_factory=dict)  # in picodollars, by day and by month

    def take(self, amounts: Amounts, step: int, day: str, month: str) -> None:
        if amounts.calls:
            self.calls.add(step, amounts.calls)
        if amounts.tokens:
            self.tokens.add(step, amounts.tokens)
        self.running += amounts.running
        if not amounts.cost:
            return
        if day not in self.spent:  # days before it are over
            self.spent = {day: 0, month: self.spent.get(month, 0)}
        self.spent[day] += amounts.cost
        self.spent[month] += amounts.cost


class InProcess:
    """Implements `LimitStore`. Keys are remembered for ever, for there are few."""

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
        self._counts: defaultdict[str, _Counts] = defaultdict(_Counts)
        self._spending = Spending()

    async def take(self, subjects: Sequence[Subject], amounts: Amounts) -> Grant:
        """Count the amounts for every subject; Shortage if a limit of one does not allow it, SpendingUnknown."""
        step, now = int(self._clock() / STEP), self._now()
        day, month = self._periods.of(now)
        tokens = [subject for subject in subjects if subject.budget is not None]
        others = [subject for subject in subjects if subject.budget is None] if tokens else subjects
        for subject in tokens:
            self._spending.check(subject, amounts)
        counted = [self._counts[subject.name] for subject in others]
        for subject, counts in zip(others, counted, strict=True):
            self._check_minute(subject, counts, amounts, step)
            self._check_budgets(subject, counts, amounts, step, now)
        for counts in counted:
            counts.take(amounts, step, day, month)
        for subject in tokens:
            self._spending.add(subject, amounts)
        return Grant(subjects, amounts, step, day, month, self._standing(others, step))

    async def begin(self, subject: Subject, spent: int) -> None:
        """Count a subject with a budget from what it has spent, unless it is counted already."""
        self._spending.begin(subject, spent, self._now())

    def give_back(self, grant: Grant, amounts: Amounts) -> None:
        """Give back some of what was taken."""
        for subject in grant.subjects:
            if subject.budget is not None:
                self._spending.give_back(subject, amounts)
                continue
            counts = self._counts[subject.name]
            if amounts.calls:
                counts.calls.give_back(grant.step, amounts.calls)
            if amounts.tokens:
                counts.tokens.give_back(grant.step, amounts.tokens)
            counts.running -= amounts.running
            if amounts.cost:
                for period in (grant.day, grant.month):
                    if period in counts.spent:
                        counts.spent[period] -= amounts.cost

    def spent(self, names: Sequence[str]) -> Mapping[str, tuple[int, int]]:
        """Picodollars of this day and of this month by the subject's name, where they are known."""
        day, month = self._periods.of(self._now())
        known = {name: self._counts[name].spent for name in names if name in self._counts}
        return {name: (spent.get(day, 0), spent.get(month, 0)) for name, spent in known.items()}

    async def run(self, spent: Spent) -> None:
        """Count what was spent before this server began; then there is nothing to do."""
        while True:
            try:
                before = await asyncio.to_thread(spent)
                break
            except AccountsError as error:
                log.warning("budgets begin with nothing spent, for the ledger cannot be read: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
        now = self._now()
        for name, (of_day, of_month) in before.items():
            counts = self._counts[name].spent
            for period, amount in zip(self._periods.of(now), (of_day, of_month), strict=True):
                counts[period] = counts.get(period, 0) + picodollars_of(amount)
        await asyncio.Event().wait()

    async def close(self) -> None:
        """There are no connections."""

    def _check_minute(self, subject: Subject, counts: _Counts, amounts: Amounts, step: int) -> None:
        """Shortage if a limit per minute, or of calls at a time, does not allow the amounts."""
        limits = subject.limits
        for name, window, amount, limit in (
            ("calls_per_minute", counts.calls, amounts.calls, limits.calls_per_minute),
            ("tokens_per_minute", counts.tokens, amounts.tokens, limits.tokens_per_minute),
        ):
            if amount and limit is not None and (excess := window.sum(step) + amount - limit) > 0:
                wait = window.wait(step, excess) if amount <= limit else None
                raise Shortage(subject, name, wait, self._standing([subject], step))
        limit = limits.concurrent_calls
        if limit is not None and amounts.running and counts.running + amounts.running > limit:
            raise Shortage(subject, "concurrent_calls", 1.0 if limit else None, self._standing([subject], step))

    def _check_budgets(self, subject: Subject, counts: _Counts, amounts: Amounts, step: int, now: datetime) -> None:
        """Shortage if a budget does not allow the amounts, or is spent."""
        day, month = self._periods.of(now)
        for name, period, budget in (
            ("usd_per_day", day, subject.limits.per_day),
            ("usd_per_month", month, subject.limits.per_month),
        ):
            if budget is not None:
                spent = counts.spent.get(period, 0)
                if spent >= budget or spent + amounts.cost > budget:
                    raise Shortage(subject, name, until_next(name, now), self._standing([subject], step))

    def _standing(self, subjects: Sequence[Subject], step: int) -> Standing:
        calls: Gauge | None = None
        tokens: Gauge | None = None
        for subject in reversed(subjects):
            limits, counts = subject.limits, self._counts[subject.name]
            if limits.calls_per_minute is not None:
                calls = counts.calls.gauge(step, limits.calls_per_minute)
            if limits.tokens_per_minute is not None:
                tokens = counts.tokens.gauge(step, limits.tokens_per_minute)
        return Standing(calls, tokens)
