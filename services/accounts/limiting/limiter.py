"""Holds calls to the limits of their key and to those of all calls together."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

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
    from services.accounts.keys.limits import Limits
    from services.accounts.limiting.api import Grant, LimitStore, Spent, TokenSpent
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


class Limiter:
    """Takes from a store what calls may use, and gives back what they did not."""

    def __init__(self, store: LimitStore, total: Limits, *, opens: bool, token_spent: TokenSpent) -> None:
        """`total` are the limits of all calls together. While the store is away, calls are let in if it `opens`."""
        self._token_spent = token_spent
        self._store = store
        self._of_all = [Subject(TOTAL, total)] if total else []
        self._opens = opens
        # Calls, by who was at which limit.
        self.refused = {(TOTAL, limit): 0 for limit in LIMIT_NAMES}
        self._budgets = Budgets()
        for subject in self._of_all:
            self._budgets.note(subject)

    @property
    def available(self) -> bool:
        """Whether calls are let in: not while the store is away, unless they are then, too."""
        return self._opens or self._store.available

    @property
    def store_available(self) -> bool:
        """Whether the store can be reached."""
        return self._store.available

    async def admit(self, caller: Caller) -> Allowance:
        """Count a call that has arrived; its owner settles the returned allowance when it has ended.

        RateLimitExceeded or InsufficientQuota if a limit is exceeded, Unavailable while the store is away.
        """
        subjects = []
        token = caller.token
        if token is not None and token.spending_limit is not None:
            budget = Budget(picodollars_of(token.spending_limit), token.expires_at)
            subjects.append(Subject(token.name(caller.account), NO_LIMITS, budget))
        if caller.key is not None and caller.key.limits:
            subjects.append(Subject(caller.key.name, caller.key.limits))
        subjects += self._of_all
        for subject in subjects:
            self._budgets.note(subject)
        allowance = Allowance(self, subjects)
        if subjects:
            await allowance.take(Amounts(calls=1, running=1))
        return allowance

    async def take(self, subjects: Sequence[Subject], amounts: Amounts) -> Grant | None:
        """A grant, None while the store is away and calls are let in; raises what `admit` raises."""
        try:
            try:
                return await self._store.take(subjects, amounts)
            except SpendingUnknown as unknown:
                await self._begin(unknown.subject)
                return await self._store.take(subjects, amounts)
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
        await self._store.begin(token, picodollars_of(spent))

    def budgets(self) -> Sequence[tuple[str, str, float]]:
        """Who, which budget and its spent share, for those budgets of which most is spent."""
        return self._budgets.shares(self._store)

    def _count_refusal(self, shortage: Shortage) -> None:
        name = shortage.subject.name
        # Of the tokens, which are many, by their key.
        who = name if shortage.subject.budget is None else name.partition(":")[0], shortage.limit
        if who not in self.refused and len(self.refused) >= MOST_REFUSED:
            who = OTHERS, shortage.limit
        self.refused[who] = self.refused.get(who, 0) + 1

    def standing(self, grant: Grant) -> Standing:
        """How the limits per minute of those who have a grant stand."""
        return self._store.standing(grant)

    def give_back(self, grant: Grant, amounts: Amounts) -> None:
        """Give back some of what was taken."""
        self._store.give_back(grant, amounts)

    async def close(self) -> None:
        """Close the store's connections."""
        await self._store.close()

    async def run(self, spent: Spent) -> None:
        """Keep the store up to date until cancelled; `spent` reads what the ledger has by key."""

        def with_total() -> Mapping[str, tuple[Decimal, Decimal]]:
            of_keys = spent()
            of_all = [sum((amounts[period] for amounts in of_keys.values()), Decimal(0)) for period in (0, 1)]
            return {**of_keys, TOTAL: (of_all[0], of_all[1])}

        await self._store.run(with_total)


@dataclass(slots=True)
class Allowance:
    """What one call has taken from the limits; nothing where there are none."""

    limiter: Limiter
    subjects: Sequence[Subject]
    _grants: list[Grant] = field(default_factory=list)
    _running: int = 0
    _settled: bool = False

    @property
    def standing(self) -> Standing:
        """How the limits per minute stand since the last of it was taken."""
        return self.limiter.standing(self._grants[-1]) if self._grants else _NO_STANDING

    async def reserve(self, prompt_tokens: int, completion_tokens: int, price: Price) -> None:
        """Take what the call uses at most, before it is queued; raises what `Limiter.admit` raises."""
        if not self.subjects:
            return
        highest = price.highest_cost(prompt_tokens, completion_tokens)
        await self.take(Amounts(tokens=prompt_tokens + completion_tokens, cost=highest))

    def settle(self, tokens: int = 0, cost: int = 0) -> None:
        """The call has ended after so many tokens and picodollars: give back the rest. Idempotent."""
        if self._settled:
            return
        self._settled = True
        if not self._grants:
            return
        # At once: tokens and money are all of the last grant, and what is running belongs to no moment.
        last = self._grants[-1]
        rest = Amounts(
            running=self._running,
            tokens=last.amounts.tokens - tokens if last.amounts.tokens else 0,
            cost=last.amounts.cost - cost if last.amounts.cost else 0,
        )
        self.limiter.give_back(last, rest)

    async def take(self, amounts: Amounts) -> None:
        """Take more from the subjects, of which there is at least one; raises what `Limiter.admit` raises."""
        grant = await self.limiter.take(self.subjects, amounts)
        if grant is not None:
            self._grants.append(grant)
            self._running += amounts.running


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
