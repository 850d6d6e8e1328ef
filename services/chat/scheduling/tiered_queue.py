"""The queue of calls of all service tiers: which of them runs next."""

from __future__ import annotations

from collections import Counter
from typing import Final, Generic, Protocol, TypeVar

from services.chat.scheduling.fair_queue import FairQueue, Waiting
from services.service_tier import ServiceTier


class TieredWaiting(Waiting, Protocol):
    """A queued call with its tier."""

    tier: ServiceTier


Call = TypeVar("Call", bound=TieredWaiting)

# Choices of priority calls that start for each choice of a default call while both are queued.
PRIORITY_SHARE: Final = 4
_URGENT_FIRST: Final = (ServiceTier.PRIORITY, ServiceTier.DEFAULT, ServiceTier.FLEX)
_DEFAULT_FIRST: Final = (ServiceTier.DEFAULT, ServiceTier.PRIORITY, ServiceTier.FLEX)


class TieredQueue(Generic[Call]):
    """Priority calls come before default calls, and flex calls after all others.

    While both priority and default calls are queued, one choice in five that starts is of a default call: no flood of
    priority calls stops them. Within a tier the queue is fair between callers, who have turns in each tier by itself.
    """

    def __init__(self) -> None:
        self._queues = {tier: FairQueue[Call]() for tier in ServiceTier}
        self._running = {tier: Counter[str]() for tier in ServiceTier}  # choices by caller
        # Choices of priority calls that have started, less PRIORITY_SHARE times those of default calls, while both
        # were queued; from PRIORITY_SHARE on it is a default call's turn.
        self._lead = 0

    def __bool__(self) -> bool:
        """Whether calls are queued."""
        return any(self._queues.values())

    @property
    def choices(self) -> int:
        """Queued choices of all tiers."""
        return sum(queue.choices for queue in self._queues.values())

    def tier(self, tier: ServiceTier) -> FairQueue[Call]:
        """The queue of one tier."""
        return self._queues[tier]

    def next(self) -> Call:
        """The call whose turn it is, which stays queued. There are queued calls."""
        order = _DEFAULT_FIRST if self._lead >= PRIORITY_SHARE else _URGENT_FIRST
        tier = next(tier for tier in order if self._queues[tier])
        return self._queues[tier].next(self._running[tier])

    @property
    def urgent_choices(self) -> int:
        """Queued choices of all tiers but flex."""
        return self.choices - self._queues[ServiceTier.FLEX].choices

    def add(self, call: Call, *, first: bool = False) -> None:
        """Queue a call behind its caller's others of that tier, or as the `first` of them."""
        self._queues[call.tier].add(call, first=first)

    def remove(self, call: Call) -> None:
        """Remove a queued call that will never run."""
        self._queues[call.tier].remove(call)

    def start(self, call: Call) -> None:
        """The call whose turn it is starts."""
        if not (self._queues[ServiceTier.PRIORITY] and self._queues[ServiceTier.DEFAULT]):
            self._lead = 0
        elif call.tier is ServiceTier.PRIORITY:
            self._lead += call.n
        else:
            self._lead -= PRIORITY_SHARE * call.n
        self._queues[call.tier].take(call)
        self._running[call.tier][call.caller] += call.n

    def end(self, call: Call) -> None:
        """A call that was started has ended."""
        running = self._running[call.tier]
        running[call.caller] -= call.n
        if not running[call.caller]:
            del running[call.caller]

    def choices_before(self, tier: ServiceTier, caller: str, n: int) -> int:
        """Choices that start until a new call of the caller with `n` choices has, its own included; or more."""
        own = self._queues[tier].choices_before(caller, n)
        if tier is ServiceTier.DEFAULT:
            return own + min(self._queues[ServiceTier.PRIORITY].choices, PRIORITY_SHARE * own)
        if tier is ServiceTier.FLEX:
            return own + self.urgent_choices
        return own
