"""Counts in this process, for one server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from services.accounts.key import AccountsError
from services.accounts.limiting.api import STEP, Gauge, Grant, Shortage, Standing
from services.accounts.limiting.period import Periods, until_next
from services.accounts.limiting.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.accounts.limiting.api import Amounts, Spent, Subject

log = logging.getLogger(__name__)

_NOTHING = Decimal(0)
_RETRY_SECONDS = 5.0


@dataclass(slots=True)
class _Counts:
    """What a subject has used."""

    calls: Window = field(default_factory=Window)
    tokens: Window = field(default_factory=Window)
    running: int = 0
    spent: dict[str, Decimal] = field(default_factory=dict)  # in USD, by day and by month


class InProcess:
    """Implements `LimitStore`. Subjects are remembered for ever: they are keys, of which there are few."""

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

    async def take(self, subjects: Sequence[Subject], amounts: Amounts) -> Grant:
        """Count the amounts for every subject; Shortage if a limit of one does not allow it."""
        step, now = int(self._clock() / STEP), self._now()
        day, month = self._periods.of(now)
        for subject in subjects:
            self._check(subject, amounts, step, now)
        for subject in subjects:
            counts = self._counts[subject.name]
            if amounts.calls:
                counts.calls.add(step, amounts.calls)
            if amounts.tokens:
                counts.tokens.add(step, amounts.tokens)
            counts.running += amounts.running
            if not amounts.usd:
                continue
            if day not in counts.spent:  # days before it are over
                counts.spent = {month: counts.spent.get(month, _NOTHING)}
            for period in (day, month):
                counts.spent[period] = counts.spent.get(period, _NOTHING) + amounts.usd
        return Grant(subjects, amounts, step, day, month, self._standing(subjects, step))

    def give_back(self, grant: Grant, amounts: Amounts) -> None:
        """Give back some of what was taken."""
        for subject in grant.subjects:
            counts = self._counts[subject.name]
            counts.calls.give_back(grant.step, amounts.calls)
            counts.tokens.give_back(grant.step, amounts.tokens)
            counts.running -= amounts.running
            if not amounts.usd:
                continue
            for period in (grant.day, grant.month):
                if period in counts.spent:
                    counts.spent[period] -= amounts.usd

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
                counts[period] = counts.get(period, _NOTHING) + amount
        await asyncio.Event().wait()

    async def close(self) -> None:
        """There are no connections."""

    def _check(self, subject: Subject, amounts: Amounts, step: int, now: datetime) -> None:
        limits, counts = subject.limits, self._counts[subject.name]
        day, month = self._periods.of(now)
        for name, window, amount, limit in (
            ("calls_per_minute", counts.calls, amounts.calls, limits.calls_per_minute),
            ("tokens_per_minute", counts.tokens, amounts.tokens, limits.tokens_per_minute),
        ):
            window.advance(step)
            if limit is not None and amount and window.total + amount > limit:
                wait = window.wait(step, window.total + amount - limit) if amount <= limit else None
                raise Shortage(subject, name, wait, self._standing([subject], step))
        limit = limits.concurrent_calls
        if limit is not None and amounts.running and counts.running + amounts.running > limit:
            raise Shortage(subject, "concurrent_calls", 1.0 if limit else None, self._standing([subject], step))
        for name, period, budget in (
            ("usd_per_day", day, limits.usd_per_day),
            ("usd_per_month", month, limits.usd_per_month),
        ):
            if budget is None:
                continue
            spent = counts.spent.get(period, _NOTHING)
            if spent >= budget or spent + amounts.usd > budget:
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
