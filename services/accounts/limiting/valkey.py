"""Counts in Valkey or Redis, for all servers together: each step is one script, which nothing interrupts."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.accounts.keys.key import AccountsError
from services.accounts.limiting.api import STEP, Gauge, Grant, Shortage, SpendingUnknown, Standing, StoreAway
from services.accounts.limiting.period import Periods, until_next
from services.accounts.prices.money import picodollars_of
from services.settings import SettingsError
from services.tasks import background_task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.accounts.limiting.api import Amounts, Spent, Subject, TokenSpent

log = logging.getLogger(__name__)

_PREFIX: Final = "chasqui:{limits}:"  # braces keep all keys at one node of a cluster
_TIMEOUT_SECONDS: Final = 1.0
_BEAT_SECONDS: Final = 1.0
_DAY_SECONDS: Final = 86_400
_NANO: Final = 1000  # picodollars
_SCRIPTS: Final = Path(__file__).parent


class Valkey:
    """Implements `LimitStore`. Times are those of the store; what a server that died had running ends after 15 s."""

    def __init__(self, url: str) -> None:
        """SettingsError if `url` is none of Valkey or Redis. It need not be reachable yet."""
        self.available = True
        scheme, separator, rest = url.partition("://")
        scheme = {"valkey": "redis", "valkeys": "rediss"}.get(scheme, scheme)
        try:
            self._redis: Any = Redis.from_url(
                f"{scheme}{separator}{rest}",
                socket_timeout=_TIMEOUT_SECONDS,
                socket_connect_timeout=_TIMEOUT_SECONDS,
                retry=None,
            )
        except ValueError as error:
            raise SettingsError(f"CHASQUI_LIMITS_STORE is no redis:// or valkey:// URL: {error}") from None
        self._take = self._redis.register_script((_SCRIPTS / "take.lua").read_text(encoding="utf-8"))
        self._give_back = self._redis.register_script((_SCRIPTS / "give_back.lua").read_text(encoding="utf-8"))
        self._add_ledger = self._redis.register_script((_SCRIPTS / "remember.lua").read_text(encoding="utf-8"))
        self._server = uuid4().hex
        self._periods = Periods()
        self._watched: Sequence[str] = ()  # names of subjects
        self._spent: Mapping[str, tuple[int, int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, subjects: Sequence[Subject], amounts: Amounts) -> Grant:
        """Count the amounts for every subject; Shortage if a limit of one does not allow it.

        SpendingUnknown for a subject with a budget that is not begun, StoreAway.
        """
        now = datetime.now(UTC)
        day, month = self._periods.of(now)
        asked = {
            "subjects": [_subject(one) for one in subjects if one.budget is None],
            "scoped": [{"name": one.name, "usd": _nano(one.budget.cost)} for one in subjects if one.budget is not None],
            "amounts": _amounts(amounts),
            "server": self._server,
            "day": day,
            "month": month,
        }
        named = {subject.name: subject for subject in subjects}
        reply = json.loads(await self._run(self._take, asked))
        if "unknown" in reply:
            raise SpendingUnknown(named[reply["unknown"]])
        standing = _standing(reply.get("standing"))
        if "refused" in reply:
            name, limit, steps = reply["refused"]
            money = limit.startswith("usd")
            wait = None if steps < 0 else until_next(limit, now) if money else steps * STEP
            raise Shortage(named[name], limit, wait, standing)
        return Grant(subjects, amounts, reply["step"], day, month, standing)

    async def begin(self, subject: Subject, spent: int) -> None:
        """Count a subject with a budget from what it has spent, unless it is counted already; StoreAway."""
        if subject.budget is None:
            return
        left = subject.budget.expires_at - datetime.now(UTC)
        seconds = max(int(left.total_seconds()), 0) + _DAY_SECONDS  # a call that runs then is still settled
        try:
            await self._redis.set(f"{_PREFIX}{subject.name}:usd:all", _nano(spent), nx=True, ex=seconds)
        except (OSError, RedisError) as error:
            self._lost(error)
            raise StoreAway from error

    def standing(self, grant: Grant) -> Standing:
        """How the limits stood when the grant was taken."""
        return grant.standing

    def give_back(self, grant: Grant, amounts: Amounts) -> None:
        """Give back some of what was taken, soon."""
        given = {
            "names": [subject.name for subject in grant.subjects],
            "amounts": _amounts(amounts),
            "server": self._server,
            "step": grant.step,
            "day": grant.day,
            "month": grant.month,
        }
        task = background_task(self._return(given), "limits given back")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def spent(self, names: Sequence[str]) -> Mapping[str, tuple[int, int]]:
        """Picodollars of this day and of this month by the subject's name, of those that were asked for before."""
        self._watched = names
        return {name: self._spent[name] for name in names if name in self._spent}

    async def run(self, spent: Spent, _: TokenSpent) -> None:
        """Tell the store that this server is alive; give it the spending of the ledger if it has begun with nothing."""
        while True:
            try:
                await self._redis.hset(f"{_PREFIX}alive", self._server, await self._now())
                if not await self._redis.exists(f"{_PREFIX}remembered"):
                    await self._remember(spent)
                self._spent = await self._read_spent(self._watched)
                self._found()
            except (OSError, RedisError) as error:
                self._lost(error)
            except AccountsError as error:
                log.warning("the spending so far cannot be read: %s", error)
            await asyncio.sleep(_BEAT_SECONDS)

    async def close(self) -> None:
        """Give back what is still to be given back, and close the connections."""
        await asyncio.gather(*self._tasks)
        await self._redis.aclose()

    async def _return(self, given: dict[str, Any]) -> None:
        try:
            await self._run(self._give_back, given)
        except StoreAway:
            log.warning("limits were not given back, for their store is away; they end within their minute or day")

    async def _run(self, script: Any, given: dict[str, Any]) -> Any:
        try:
            reply = await script(keys=[_PREFIX], args=[json.dumps(given)])
        except (OSError, RedisError) as error:
            self._lost(error)
            raise StoreAway from error
        self._found()
        return reply

    async def _now(self) -> int:
        seconds, _ = await self._redis.time()
        return int(seconds)

    async def _remember(self, spent: Spent) -> None:
        """Give the spending of the ledger to a store that has begun with nothing, such as one that lost its memory."""
        day, month = self._periods.of(datetime.now(UTC))
        given = [
            (name, period, _nano(picodollars_of(amount)), days)
            for name, (of_day, of_month) in (await asyncio.to_thread(spent)).items()
            for period, amount, days in ((day, of_day, 3), (month, of_month, 40))
        ]
        await self._add_ledger(keys=[_PREFIX], args=[json.dumps(given)])

    async def _read_spent(self, names: Sequence[str]) -> Mapping[str, tuple[int, int]]:
        if not names:
            return {}
        periods = self._periods.of(datetime.now(UTC))
        keys = [f"{_PREFIX}{name}:usd:{period}" for name in names for period in periods]
        found = [int(amount or 0) * _NANO for amount in await self._redis.mget(keys)]
        return dict(zip(names, zip(found[::2], found[1::2], strict=True), strict=True))

    def _found(self) -> None:
        if not self.available:
            log.warning("the store of the limits is back")
        self.available = True

    def _lost(self, error: Exception) -> None:
        if self.available:
            log.error("the store of the limits is away: %s", error)
        self.available = False


def _subject(subject: Subject) -> dict[str, Any]:
    limits = subject.limits
    return {
        "name": subject.name,
        "calls": _limit(limits.calls_per_minute),
        "tokens": _limit(limits.tokens_per_minute),
        "running": _limit(limits.concurrent_calls),
        "day_usd": -1 if limits.per_day is None else _nano(limits.per_day),
        "month_usd": -1 if limits.per_month is None else _nano(limits.per_month),
    }


def _amounts(amounts: Amounts) -> dict[str, int]:
    return {
        "calls": amounts.calls,
        "running": amounts.running,
        "tokens": amounts.tokens,
        "usd": _nano(amounts.cost),
    }


def _limit(limit: int | None) -> int:
    return -1 if limit is None else limit


def _nano(picodollars: int) -> int:
    """Nanodollars, of which Lua's numbers hold 9 million USD exactly; rounded up."""
    return -(-picodollars // _NANO)


def _standing(found: Mapping[str, Any] | None) -> Standing:
    """The gauges of a script: limit, what remains, and steps until all of it is there again."""
    gauges = {
        name: Gauge(int(values[0]), int(values[1]), values[2] * STEP) for name, values in dict(found or {}).items()
    }
    return Standing(gauges.get("calls"), gauges.get("tokens"))
