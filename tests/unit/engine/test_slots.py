"""Which generations run, which wait, and when one has let go of the engine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from services.engine.slots import Slots


@dataclass(eq=False)
class Holder:
    """A generation of `slots` sequences."""

    slots: int = 1
    released: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


def queued(slots: Slots[Holder], *needs: int) -> list[Holder]:
    holders = [Holder(need) for need in needs]
    for holder in holders:
        slots.queue(holder)
    return holders


async def test_generations_start_in_their_order_while_slots_are_free() -> None:
    slots = Slots[Holder](3)
    first, second, third = queued(slots, 1, 2, 1)
    assert [slots.start_next() for _ in range(3)] == [first, second, None]
    assert (slots.running, slots.waiting) == ([first, second], [third])
    assert list(slots) == [first, second, third]


async def test_no_generation_overtakes_one_that_needs_more_slots_than_are_free() -> None:
    slots = Slots[Holder](2)
    first, large, small = queued(slots, 1, 2, 1)
    assert slots.start_next() is first
    assert slots.start_next() is None
    slots.release(first)
    assert [slots.start_next(), slots.start_next()] == [large, None]
    slots.release(large)
    assert slots.start_next() is small


async def test_a_generation_is_released_with_the_last_of_its_slots() -> None:
    slots = Slots[Holder](2)
    pair, other = queued(slots, 2, 1)
    slots.start_next()
    slots.release(pair, 1)
    assert not pair.released.done()
    assert slots.start_next() is other
    assert slots.running == [pair, other]
    slots.release(pair, 1)
    assert pair.released.done()
    assert slots.running == [other]


async def test_a_waiting_generation_that_is_released_never_starts_and_frees_nothing() -> None:
    slots = Slots[Holder](1)
    running, withdrawn = queued(slots, 1, 1)
    slots.start_next()
    slots.release(withdrawn)
    assert withdrawn.released.done()
    assert (slots.running, slots.waiting, slots.start_next()) == ([running], [], None)
    slots.release(running)
    assert not slots
