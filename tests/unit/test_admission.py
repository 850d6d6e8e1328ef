"""How many calls are inside, and which are refused."""

from __future__ import annotations

import asyncio

import pytest

from services.chat.admission import Admission
from services.errors import Code, Unavailable


@pytest.mark.parametrize(("running", "queued"), [(1, 0), (1, 1), (4, 0), (4, 256)])
async def test_as_many_calls_are_admitted_as_run_and_queue(running: int, queued: int) -> None:
    admission = Admission(running, queued)
    for _ in range(running + queued):
        admission.enter()
    with pytest.raises(Unavailable) as caught:
        admission.enter()
    assert (caught.value.code, caught.value.reason) == (Code.UNAVAILABLE, "OVERLOADED")
    assert str(running + queued) in caught.value.message


async def test_a_call_that_leaves_makes_room_for_exactly_one_more() -> None:
    admission = Admission(1, 1)
    admission.enter()
    admission.enter()
    admission.leave()
    admission.enter()
    with pytest.raises(Unavailable):
        admission.enter()


async def test_a_refused_call_does_not_count() -> None:
    admission = Admission(1, 0)
    admission.enter()
    for _ in range(3):
        with pytest.raises(Unavailable):
            admission.enter()
    admission.leave()
    admission.enter()


async def test_a_closed_door_refuses_even_when_there_is_room() -> None:
    admission = Admission(4, 4)
    admission.enter()
    admission.close()
    with pytest.raises(Unavailable) as caught:
        admission.enter()
    assert caught.value.reason == "DRAINING"


async def test_hints_when_to_retry_are_spread_over_a_second() -> None:
    admission = Admission(0, 0)
    hints = []
    for _ in range(50):
        with pytest.raises(Unavailable) as caught:
            admission.enter()
        assert caught.value.retry_after is not None
        hints.append(caught.value.retry_after)
    assert all(1 <= hint <= 2 for hint in hints)
    assert len(set(hints)) > 1


async def test_a_server_that_nobody_entered_is_drained() -> None:
    await Admission(1, 1).drained()


async def test_a_server_is_drained_when_its_last_call_has_left() -> None:
    admission = Admission(2, 0)
    admission.enter()
    admission.enter()
    admission.close()
    drained = asyncio.create_task(admission.drained())
    admission.leave()
    await asyncio.sleep(0)
    assert not drained.done()
    admission.leave()
    await drained


async def test_a_call_that_enters_before_the_waiter_looks_is_waited_for() -> None:
    admission = Admission(1, 0)
    admission.enter()
    admission.leave()
    admission.enter()
    drained = asyncio.create_task(admission.drained())
    await asyncio.sleep(0)
    assert not drained.done()
    admission.leave()
    await drained
