"""Holds calls to the limits of their key and to those of all calls together."""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from services.accounts.keys.key import AccountsError
from services.accounts.keys.limits import LIMIT_NAMES, NO_LIMITS
from services.accounts.limiting.api import (
    Amounts,
    Budget,
    Shortage,
    SpendingUnknown,
    Standing,
    StoreAway,
    Subject,
)
from services.accounts.limiting.budgets import Budgets
from services.accounts.prices.money import picodollars_of, usd_of, usd_text
from services.errors import InsufficientQuota, RateLimitExceeded, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.accounts.keys.caller import Caller
    from services.accounts.keys.key import Key
    from services.accounts.keys.limits import Limits
    from services.accounts.limiting.api import Grant, KeyIsOver, LimitStore, Spent, TokenSpent
    from services.accounts.prices.price import Price
    from services.errors import ChasquiError

log = logging.getLogger(__name__)

# No key's name begins with a colon.
TOTAL: Final = ":total"
OTHERS: Final = ":others"
MOST_REFUSED: Final = 200
"""Pairs of a key and a limit that refusals are counted for; those of further ones are counted together."""
_AWAY_SECONDS: Final = 1.0
_NO_STANDING: Final = Standing()
_ONE_CALL: Final = Amounts(calls=1, running=1)
_UNKNOWN: Final[tuple[Limits | None, Sequence[Subject]]] = None, ()
NOT_TAKEN: Final = (Shortage, SpendingUnknown, StoreAway)
"""What the store raises when it takes nothing."""


class Limiter:
    """Takes from a store what calls may use, and gives back what they did not."""

    def __init__(
        self, store: LimitStore, total: Limits, *, opens: bool, token_spent: TokenSpent, is_over: KeyIsOver
    ) -> None:
        """`total` are the limits of all calls together. While the store is away, calls are let in if it `opens`."""
        self.store = store
        self._token_spent = token_spent
        self._of_all = [Subject(TOTAL, total)] if total else []
        self._of_keys: dict[str, tuple[Limits, Sequence[Subject]]] = {}  # those who have called, by name
        self._opens = opens
        # Calls, by who was at which limit.
        self.refused = {(TOTAL, limit): 0 for limit in LIMIT_NAMES}
        self._is_over = is_over
        self._budgets = Budgets(is_over)
        for subject in self._of_all:
            self._budgets.note(subject)

    @property
    def available(self) -> bool:
        """Whether calls are let in: not while the store is away, unless they are then, too."""
        return self._opens or self.store.available

    @property
    def store_available(self) -> bool:
        """Whether the store can be reached."""
        return self.store.available

    async def admit(self, caller: Caller) -> Allowance:
        """Count a call that has arrived; its owner settles the returned allowance when it has ended.

        RateLimitExceeded or InsufficientQuota if a limit is exceeded, Unavailable while the store is away.
        """
        subjects: Sequence[Subject] = self._of_all
        key, token = caller.key, caller.token
        if key is not None:
            limits, subjects = self._of_keys.get(key.name, _UNKNOWN)
            if limits is not key.limits:
                subjects = self._begin_key(key)
        if token is not None and token.spending_limit is not None:
            budget = Budget(picodollars_of(token.spending_limit), token.expires_at)
            subjects = [Subject(token.name(caller.account), NO_LIMITS, budget), *subjects]
        grant: Grant | None = None
        if subjects:
            try:
                grant = await self.store.take(subjects, _ONE_CALL)
            except NOT_TAKEN as error:
                grant = await self.take_otherwise(error, subjects, _ONE_CALL)
        return Allowance(self, subjects, grant)

    def _begin_key(self, key: Key) -> Sequence[Subject]:
        """Whom a call of a key is counted for, which is known from now on, until the limits of the key change."""
        self._forget()
        own = Subject(key.name, key.limits)
        self._budgets.note(own)
        subjects = [own, *self._of_all] if key.limits else self._of_all
        self._of_keys[key.name] = key.limits, subjects
        return subjects

    def _forget(self) -> None:
        """Forget up to two keys that are over."""
        for name in tuple(islice(self._of_keys, 2)):
            known = self._of_keys.pop(name)
            if self._is_over(name):
                self._budgets.forget(name)
            else:
                self._of_keys[name] = known

    async def take_otherwise(self, error: Exception, subjects: Sequence[Subject], amounts: Amounts) -> Grant | None:
        """What to do after one of `NOT_TAKEN`: take again, or raise what `admit` raises.

        None while the store is away and calls are let in.
        """
        try:
            if not isinstance(error, SpendingUnknown):
                raise error
            await self._begin(error.subject)
            return await self.store.take(subjects, amounts)
        except Shortage as shortage:
            self._count_refusal(shortage)
            raise _refusal(shortage) from None
        except (AccountsError, StoreAway):
            if self._opens:
                return None
            raise Unavailable(
                "Limits cannot be checked now; try again later.", reason="LIMITS_UNAVAILABLE", retry_after=_AWAY_SECONDS
            ) from None

    async def _begin(self, token: Subject) -> None:
        """Give the store what the ledger has of a token; AccountsError or StoreAway if either is away."""
        key, _, token_id = token.name.partition(":")
        spent = await asyncio.to_thread(self._token_spent, key, token_id)
        await self.store.begin(token, picodollars_of(spent))

    def budgets(self) -> Sequence[tuple[str, str, float]]:
        """Who, which budget and its spent share, for those budgets of which most is spent."""
        return self._budgets.shares(self.store)

    def _count_refusal(self, shortage: Shortage) -> None:
        name = shortage.subject.name
        # Of the tokens, which are many, by their key.
        who = name if shortage.subject.budget is None else name.partition(":")[0], shortage.limit
        if who not in self.refused and len(self.refused) >= MOST_REFUSED:
            who = OTHERS, shortage.limit
        self.refused[who] = self.refused.get(who, 0) + 1

    async def close(self) -> None:
        """Close the store's connections."""
        await self.store.close()

    async def run(self, spent: Spent) -> None:
        """Keep the store up to date until cancelled; `spent` reads what the ledger has by key."""

        def with_total() -> Mapping[str, tuple[Decimal, Decimal]]:
            of_keys = spent()
            of_all = [sum((amounts[period] for amounts in of_keys.values()), Decimal(0)) for period in (0, 1)]
            return {**of_keys, TOTAL: (of_all[0], of_all[1])}

        await self.store.run(with_total, self._token_spent)


class Allowance(Struct, gc=False):
    """What one call has taken from the limits: the first grant counts the call, the last one what it uses at most.

    There is none without limits, nor of what was asked for while the store was away.
    """

    limiter: Limiter
    subjects: Sequence[Subject]
    _first: Grant | None
    _last: Grant | None = None
    _settled: bool = False

    @property
    def standing(self) -> Standing:
        """How the limits per minute stand since the last of it was taken."""
        grant = self._last or self._first
        return _NO_STANDING if grant is None else self.limiter.store.standing(grant)

    async def reserve(self, prompt_tokens: int, completion_tokens: int, price: Price) -> None:
        """Take what the call uses at most, before it is queued; raises what `Limiter.admit` raises."""
        if not self.subjects:
            return
        highest = price.highest_cost(prompt_tokens, completion_tokens)
        amounts = Amounts(0, 0, prompt_tokens + completion_tokens, highest)
        try:
            self._last = await self.limiter.store.take(self.subjects, amounts)
        except NOT_TAKEN as error:
            self._last = await self.limiter.take_otherwise(error, self.subjects, amounts)

    def settle(self, tokens: int = 0, cost: int = 0) -> None:
        """The call has ended after so many tokens and picodollars: give back the rest. Idempotent."""
        if self._settled:
            return
        self._settled = True
        grant = self._last or self._first
        if grant is None:
            return
        # At once: tokens and money are all of the last grant, and what is running belongs to no moment.
        running = 0 if self._first is None else 1
        most = grant.amounts
        rest = Amounts(0, running, most.tokens - tokens if most.tokens else 0, most.cost - cost if most.cost else 0)
        self.limiter.store.give_back(grant, rest)


def _refusal(shortage: Shortage) -> ChasquiError:
    limit = shortage.limit
    budget = shortage.subject.budget
    if budget is not None:
        usd = usd_text(usd_of(budget.cost))
        message = f"The spending limit of this token is {usd} USD, and this call could exceed it."
        return InsufficientQuota(message, limit, {})
    value = getattr(shortage.subject.limits, limit)
    who = "the service" if shortage.subject.name == TOTAL else "this API key"
    words = f"{limit.replace('_', ' ').replace('usd', 'USD')}"
    headers = shortage.standing.headers()
    message = f"The limit of {who} is {value:,} {words}"
    if limit in {"usd_per_day", "usd_per_month"}:
        return InsufficientQuota(f"{message}, and this call could exceed it.", limit, headers)
    if shortage.wait is None:
        return RateLimitExceeded(f"{message}, which this call alone exceeds.", limit, headers)
    retry = f"{message}; try again in {shortage.wait:.1f} s."
    return RateLimitExceeded(retry, limit, headers, retry_after=shortage.wait)
