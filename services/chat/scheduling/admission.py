"""Admission control and the queue: which calls are accepted, which runs next, and which are refused.

The engine gets as many choices as it generates at the same time; all others wait here, where a cancellation or a
deadline costs nothing. A call is counted from its arrival until the engine has ended it; each of its n choices counts.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from services.chat.scheduling.service_time import ServiceTime, retry_hint
from services.chat.scheduling.tiered_queue import TieredQueue
from services.errors import DeadlineExceeded, FlexUnavailable, Unavailable
from services.service_tier import ServiceTier

if TYPE_CHECKING:
    from collections.abc import Callable


# Streamed flex calls, which cannot be preempted once they have begun, leave one slot in so many free.
_STREAMS_LEAVE: Final = 10


class _State(Enum):
    RESERVED = auto()  # its prompt is being processed
    QUEUED = auto()
    RUNNING = auto()
    PREEMPTED = auto()  # the engine is about to end it, and it is queued again
    RELEASED = auto()


@dataclass(slots=True, eq=False)
class Reservation:
    """A call that is counted; made by `Admission.reserve`, released by the owner of the call."""

    caller: str
    n: int
    tier: ServiceTier
    weight: int  # of the caller
    tokens: int = 0  # of all choices
    start: Callable[[], None] | None = None
    preempt: Callable[[], bool] | None = None
    streamed: bool = False
    state: _State = _State.RESERVED
    began: float = 0.0


class Admission:
    """Accepts calls while the queue has room, and starts them when the engine has slots for them.

    Every service tier has a queue of its own, so that none takes another's room: at most `parallel + max_queue` choices
    of a tier are admitted at any time, whether they run or wait.
    While calls wait, a caller may have as many choices queued as the queue has room left: one caller fills half of it,
    two fill a third each, and the rest is kept for callers with fewer (the dynamic thresholds of Choudhury and Hahne,
    1998). The same holds for tokens.

    A flex call starts when there are more free slots than calls of other tiers that wait or are about to. When such a
    call finds no free slot, flex calls are preempted: those that began last, which have the least to compute again, and
    that can go on later or begin again. Streamed flex calls leave a tenth of the slots, at least one of several, to
    others.
    """

    def __init__(self, parallel: int, max_queue: int, max_queue_tokens: int) -> None:
        """`parallel` choices run at the same time.

        `max_queue` choices of `max_queue_tokens` tokens in all may wait in each tier.
        """
        self._parallel = parallel
        self._max_queue = max_queue
        self._max_tokens = max_queue_tokens
        self._open = True
        self._halted = False
        self._reserved = 0  # calls, as the next one
        self._running_calls = 0
        self._empty = asyncio.Event()
        self._empty.set()
        # Choices: those that do not run yet, by tier, and by tier and caller; and those that do.
        self._claimed: Counter[ServiceTier] = Counter()
        self._claims: Counter[tuple[ServiceTier, str]] = Counter()
        self._running = 0
        self._returning = 0  # of those that run, the preempted ones
        self._flex: dict[Reservation, None] = {}  # running and not preempted, in the order of their start
        self._streamed_flex = 0
        self._most_streamed_flex = parallel - (max(1, parallel // _STREAMS_LEAVE) if parallel > 1 else 0)
        self._queue = TieredQueue[Reservation]()
        self._service_time = ServiceTime()
        self.preempted = 0  # calls, each as often as it was

    @property
    def running(self) -> int:
        """Calls in the engine."""
        return self._running_calls

    @property
    def waiting(self) -> int:
        """Calls that wait for the engine, or whose prompt is being processed."""
        return self._reserved - self._running_calls

    @property
    def queued(self) -> int:
        """Choices whose prompt is processed and that do not run yet."""
        return self._queue.choices

    def reserve(self, caller: str, n: int, tier: ServiceTier = ServiceTier.DEFAULT, *, weight: int = 1) -> Reservation:
        """Count a call that has just arrived; Unavailable if its tier's queue is full or the server is draining.

        `weight` is the caller's in the queue.
        """
        if not self._open:
            raise Unavailable("The server is shutting down.", reason="DRAINING", retry_after=retry_hint(0.0))
        free = self._parallel - self._running
        call = Reservation(caller, n, tier, weight)
        waiting, own = self._claimed[tier], self._claims[tier, caller]
        room = free + self._max_queue - waiting
        if n > room:
            raise self._overloaded(f"The server is busy, and {waiting} choices wait", call)
        if own + n > free + min(self._max_queue, room):
            raise self._overloaded(f"{own} of your choices wait, which is your share", call)
        self._reserved += 1
        self._empty.clear()
        self._claim(call, n)
        return call

    def queue(
        self,
        reservation: Reservation,
        tokens: int,
        start: Callable[[], None],
        *,
        remaining: float | None,
        preempt: Callable[[], bool] | None = None,
        streamed: bool = False,
    ) -> None:
        """Queue a call until the engine has slots for it; `start` is called then, which may be at once.

        `tokens` are those of the prompt and of the longest possible choice, `remaining` the seconds to the deadline.
        `preempt`, of a flex call, asks it to give its slots up: it returns whether it does, and then calls
        `queue_again` when they are free; it starts again later.
        Raises Unavailable if too many tokens wait, DeadlineExceeded if the call is not expected to start in time.
        """
        reservation.tokens = reservation.n * tokens
        reservation.start = start
        reservation.preempt = preempt
        reservation.streamed = streamed
        if self._queue or not self._fits(reservation):
            self._check_tokens(reservation)
            if remaining is not None and remaining < self._expected_wait(reservation):
                raise DeadlineExceeded("The deadline of the call would pass before it started.")
        reservation.state = _State.QUEUED
        self._queue.add(reservation)
        self._dispatch()

    def queue_again(self, reservation: Reservation) -> None:
        """The engine has ended a call that was preempted, which is the next of its caller's flex calls."""
        self._free(reservation)
        self._claim(reservation, reservation.n)
        reservation.state = _State.QUEUED
        self._queue.add(reservation, first=True)
        self._dispatch()

    def release(self, reservation: Reservation) -> None:
        """The call has ended; idempotent."""
        if reservation.state is _State.RELEASED:
            return
        if reservation.state in (_State.RUNNING, _State.PREEMPTED):
            self._free(reservation)
            self._service_time.observe(time.monotonic() - reservation.began)
        else:
            self._claim(reservation, -reservation.n)
            if reservation.state is _State.QUEUED:
                self._queue.remove(reservation)
        reservation.state = _State.RELEASED
        reservation.start = reservation.preempt = None
        self._reserved -= 1
        if not self._reserved:
            self._empty.set()
        self._dispatch()

    def flex_unavailable(self, reservation: Reservation) -> FlexUnavailable:
        """The error that ends a flex call which has waited too long, with a hint when to try again."""
        return FlexUnavailable(retry_hint(self._expected_wait(reservation)))

    def close(self) -> None:
        """Refuse new calls."""
        self._open = False

    def halt(self) -> None:
        """Start no more calls: those that wait are about to be cancelled."""
        self._halted = True

    async def drained(self) -> None:
        """Wait until the last call has ended."""
        await self._empty.wait()

    def _dispatch(self) -> None:
        """Start calls while there are slots for all choices of the next one.

        No call overtakes the next one, or a call with many choices would wait for ever.
        """
        while self._queue and not self._halted:
            reservation = self._queue.next()
            if not self._fits(reservation):
                self._preempt()
                return
            self._queue.start(reservation)
            self._claim(reservation, -reservation.n)
            self._running_calls += 1
            self._running += reservation.n
            reservation.state = _State.RUNNING
            reservation.began = time.monotonic()
            if reservation.tier is ServiceTier.FLEX:
                self._flex[reservation] = None
                self._streamed_flex += reservation.n * reservation.streamed
            if reservation.start is not None:
                reservation.start()

    def _preempt(self) -> None:
        """Have flex calls give up as many slots as the queued calls of other tiers lack."""
        lacking = self._queue.urgent_choices - (self._parallel - self._running) - self._returning
        if lacking <= 0:
            return
        for call in list(reversed(self._flex)):
            if lacking > 0 and call.preempt is not None and call.preempt():
                del self._flex[call]
                call.state = _State.PREEMPTED
                lacking -= call.n
                self._returning += call.n
                self.preempted += 1

    def _free(self, call: Reservation) -> None:
        """The slots of a call that ran."""
        self._running_calls -= 1
        self._running -= call.n
        if call.state is _State.PREEMPTED:
            self._returning -= call.n
        if call.tier is ServiceTier.FLEX:
            self._flex.pop(call, None)
            self._streamed_flex -= call.n * call.streamed
        self._queue.end(call)

    def _fits(self, call: Reservation) -> bool:
        """Whether there are slots for all choices of the next call."""
        free = self._parallel - self._running
        if call.tier is ServiceTier.FLEX:
            free -= self._claimed[ServiceTier.PRIORITY] + self._claimed[ServiceTier.DEFAULT]
            if call.streamed and self._streamed_flex:  # the first may have more choices than that
                free = min(free, self._most_streamed_flex - self._streamed_flex)
        return call.n <= free

    def _claim(self, call: Reservation, n: int) -> None:
        self._claimed[call.tier] += n
        self._claims[call.tier, call.caller] += n
        if not self._claims[call.tier, call.caller]:
            del self._claims[call.tier, call.caller]

    def _check_tokens(self, call: Reservation) -> None:
        """The rule of `reserve`, for tokens; an empty queue takes a call of any size."""
        queue = self._queue.tier(call.tier)
        if queue.tokens and queue.tokens_of(call.caller) + call.tokens > self._max_tokens - queue.tokens:
            raise self._overloaded(f"The server is busy, and {queue.tokens} tokens wait", call)

    def _expected_wait(self, call: Reservation) -> float:
        return self._service_time.wait(self._queue.choices_before(call.tier, call.caller, call.n), self._parallel)

    def _overloaded(self, why: str, call: Reservation) -> Unavailable:
        hint = retry_hint(self._expected_wait(call))
        return Unavailable(f"{why}; try again later.", reason="OVERLOADED", retry_after=hint)
