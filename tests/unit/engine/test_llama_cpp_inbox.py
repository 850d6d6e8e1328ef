"""Messages of threads reach the event loop together: once for a step, however many sequences there are."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Self, cast

from services.engine.llama_cpp import inbox
from services.engine.llama_cpp.inbox import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest


class Deliveries:
    """What an inbox that expects so many items delivered, and when something came."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.items: list[list[int]] = []
        self.came = asyncio.Event()
        self.inbox = Inbox[int](asyncio.get_running_loop(), lambda: self.expected, self._take)

    def _take(self, items: Sequence[int]) -> None:
        self.items.append(list(items))
        self.came.set()

    async def next(self) -> None:
        """Wait for the next delivery."""
        await asyncio.wait_for(self.came.wait(), 60)
        self.came.clear()


async def test_what_a_step_of_all_sequences_posts_is_delivered_at_once_and_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbox, "_GATHER_SECONDS", 5.0)  # however slow the threads are
    deliveries = Deliveries(3)
    for step in range(5):
        # From a thread each, while the loop waits.
        await in_threads([partial(deliveries.inbox.post, step)] * 3)
        await deliveries.next()
    assert deliveries.items == [[step] * 3 for step in range(5)]


async def test_what_does_not_become_complete_is_delivered_all_the_same() -> None:
    deliveries = Deliveries(3)
    deliveries.inbox.post(1)
    deliveries.inbox.post(2)
    await deliveries.next()
    assert deliveries.items == [[1, 2]]
    deliveries.inbox.post(3)
    await deliveries.next()
    assert deliveries.items == [[1, 2], [3]]


class ManualLoop:
    """Keeps what is to be called soon, and forgets timers."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.cancelled = 0

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def call_later(self, _: float, __: Callable[[], None]) -> Self:
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    def turn(self) -> None:
        """One iteration."""
        due, self.soon = self.soon, []
        for callback in due:
            callback()


def test_the_last_item_of_a_step_ends_the_wait_for_it() -> None:
    loop, delivered = ManualLoop(), list[list[int]]()
    gathering = Inbox[int](cast("asyncio.AbstractEventLoop", loop), lambda: 2, lambda items: delivered.append([*items]))
    for item in range(0, 6, 2):
        gathering.post(item)
        loop.turn()
        gathering.post(item + 1)
        loop.turn()
    assert delivered == [[0, 1], [2, 3], [4, 5]]
    assert loop.cancelled == 3


async def test_the_only_sequence_waits_for_nothing() -> None:
    deliveries = Deliveries(1)
    deliveries.inbox.post(1)
    await asyncio.sleep(0)  # one turn of the loop, and no timer
    assert deliveries.items == [[1]]


async def test_of_many_threads_nothing_is_lost_or_delivered_twice() -> None:
    deliveries = Deliveries(4)

    def post(first: int) -> None:
        for item in range(first, first + 500):
            deliveries.inbox.post(item)

    await in_threads([partial(post, first) for first in range(0, 4000, 500)])
    while sum(map(len, deliveries.items)) < 4000:
        await deliveries.next()
    assert sorted(item for items in deliveries.items for item in items) == list(range(4000))


async def in_threads(works: Sequence[Callable[[], None]]) -> None:
    """Run all of them at once, each in a thread."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
