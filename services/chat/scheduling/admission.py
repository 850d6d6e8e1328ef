"""The door and the queue: which calls are taken, which of them runs next, and what the others are told.

The engine is given as many choices as it generates at a time, and everything else waits here, where a cancel or a
deadline costs nothing. A call has a place from its arrival until the engine has let go of it; n counts n times.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from services.chat.scheduling.fair_queue import FairQueue
from services.chat.scheduling.service_time import ServiceTime, retry_hint
from services.errors import DeadlineExceeded, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable


class _State(Enum):
    ARRIVED = auto()  # its prompt is being made
    WAITING = auto()
    RUNNING = auto()
    LEFT = auto()


@dataclass(slots=True, eq=False)
class Place:
    """A call's place; made by `Admission.enter`, and left by whoever owns the call."""

    caller: str
    n: int
    tokens: int = 0  # of all choices
    start: Callable[[], None] | None = None
    state: _State = _State.ARRIVED
    began: float = 0.0


class Admission:
    """Takes calls while there is room, and lets them into the engine.

    When places are short a caller may have as many choices waiting as the queue has room left: alone it fills half of
    it, two fill a third each, and the rest is kept for those who have fewer (the dynamic thresholds of Choudhury and
    Hahne, 1998). The same holds for tokens.
    """

    def __init__(self, parallel: int, max_queue: int, max_queue_tokens: int) -> None:
        """`parallel` choices run at a time, `max_queue` choices with `max_queue_tokens` tokens may wait."""
        self._parallel = parallel
        self._max_queue = max_queue
        self._max_tokens = max_queue_tokens
        self._open = True
        self._halted = False
        self._inside = 0  # calls, as the next one
        self._running_calls = 0
        self._empty = asyncio.Event()
        self._empty.set()
        # Choices, in all and by caller: those that do not run yet, and those that do.
        self._claimed = 0
        self._claims: Counter[str] = Counter()
        self._running = 0
        self._running_of: Counter[str] = Counter()
        self._queue = FairQueue[Place]()
        self._service_time = ServiceTime()

    @property
    def running(self) -> int:
        """Calls that the engine works on."""
        return self._running_calls

    @property
    def waiting(self) -> int:
        """Calls that wait for the engine, or whose prompt is being made."""
        return self._inside - self._running_calls

    @property
    def queued(self) -> int:
        """Choices whose prompt is made and that do not run yet."""
        return self._queue.choices

    def enter(self, caller: str, n: int) -> Place:
        """A place for a call that has just arrived; Unavailable if the server is full or draining."""
        if not self._open:
            raise Unavailable("The server is shutting down.", reason="DRAINING", retry_after=retry_hint(0.0))
        free = self._parallel - self._running
        room = free + self._max_queue - self._claimed
        if n > room:
            raise self._overloaded(f"The server is busy, and {self._claimed} answers wait", caller, n)
        if self._claims[caller] + n > free + min(self._max_queue, room):
            raise self._overloaded(f"{self._claims[caller]} of your answers wait, which is your share", caller, n)
        self._inside += 1
        self._empty.clear()
        self._claim(caller, n)
        return Place(caller, n)

    def queue(self, place: Place, tokens: int, start: Callable[[], None], *, remaining: float | None) -> None:
        """Let a call wait until the engine is free for it; `start` is called then, which may be at once.

        `tokens` are those of the prompt and one choice's longest answer, `remaining` the caller's seconds. Raises
        Unavailable if too many tokens wait, DeadlineExceeded if the turn is not expected to come in time.
        """
        place.tokens = place.n * tokens
        place.start = start
        if self._queue or place.n > self._parallel - self._running:
            self._check_tokens(place)
            if remaining is not None and remaining < self._expected_wait(place.caller, place.n):
                raise DeadlineExceeded("The call's time would run out before its turn came.")
        place.state = _State.WAITING
        self._queue.add(place)
        self._dispatch()

    def leave(self, place: Place) -> None:
        """Give a place back; without effect on one that has been left."""
        if place.state is _State.LEFT:
            return
        if place.state is _State.RUNNING:
            self._running_calls -= 1
            self._running -= place.n
            self._running_of[place.caller] -= place.n
            if not self._running_of[place.caller]:
                del self._running_of[place.caller]
            self._service_time.observe(time.monotonic() - place.began)
        else:
            self._claim(place.caller, -place.n)
            if place.state is _State.WAITING:
                self._queue.remove(place)
        place.state = _State.LEFT
        place.start = None
        self._inside -= 1
        if not self._inside:
            self._empty.set()
        self._dispatch()

    def close(self) -> None:
        """Refuse new calls from now on."""
        self._open = False

    def halt(self) -> None:
        """Start nothing any more: what waits is going to be ended."""
        self._halted = True

    async def drained(self) -> None:
        """Wait until no call is inside."""
        await self._empty.wait()

    def _dispatch(self) -> None:
        """Start calls while the one whose turn it is finds places for all of its choices.

        None overtakes it: a call with many choices would wait for ever.
        """
        while self._queue and not self._halted:
            place = self._queue.next(self._running_of)
            if place.n > self._parallel - self._running:
                return
            self._queue.take(place)
            self._claim(place.caller, -place.n)
            self._running_calls += 1
            self._running += place.n
            self._running_of[place.caller] += place.n
            place.state = _State.RUNNING
            place.began = time.monotonic()
            start, place.start = place.start, None
            if start is not None:
                start()

    def _claim(self, caller: str, n: int) -> None:
        self._claimed += n
        self._claims[caller] += n
        if not self._claims[caller]:
            del self._claims[caller]

    def _check_tokens(self, place: Place) -> None:
        """The rule for choices, for tokens. A queue without any takes a call of every size."""
        waiting = self._queue.tokens
        if waiting and self._queue.tokens_of(place.caller) + place.tokens > self._max_tokens - waiting:
            raise self._overloaded(f"The server is busy, and {waiting} tokens wait", place.caller, place.n)

    def _expected_wait(self, caller: str, n: int) -> float:
        return self._service_time.wait(self._queue.choices_before(caller, n), self._parallel)

    def _overloaded(self, why: str, caller: str, n: int) -> Unavailable:
        hint = retry_hint(self._expected_wait(caller, n))
        return Unavailable(f"{why}; try again later.", reason="OVERLOADED", retry_after=hint)
