"""How late an event loop is, and which part of that is its own process's fault."""

from __future__ import annotations

import asyncio
import time

from services.telemetry.event_loop import timer_delay

BLOCK = 0.2
INTERVAL = 0.1


async def blocked_delay(*cpu_waits: float) -> tuple[float, float]:
    """The delay of a timer while a callback blocks the loop, with what the kernel says each time it is asked."""
    asyncio.get_running_loop().call_soon(time.sleep, BLOCK)
    return await timer_delay(INTERVAL, iter(cpu_waits).__next__)


async def test_a_callback_that_blocks_the_loop_is_the_processs_own_delay() -> None:
    late, own = await blocked_delay(7.0, 7.0)
    assert late == own > BLOCK / 4


async def test_what_the_thread_waited_for_a_cpu_is_not() -> None:
    late, own = await blocked_delay(7.0, 7.0 + BLOCK / 8)
    assert abs(late - own - BLOCK / 8) < 1e-9


async def test_what_it_waited_well_before_the_timer_was_due_is_no_part_of_the_delay() -> None:
    asked = 0

    def cpu_wait() -> float:
        nonlocal asked
        asked += 1
        if asked == 2:  # just before the timer is due
            asyncio.get_running_loop().call_soon(time.sleep, BLOCK)
        return 7.0 if asked == 1 else 7.5

    while asked != 3:  # twice alone if this machine was late before the block
        asked = 0
        late, own = await timer_delay(INTERVAL, cpu_wait)
    assert late == own > BLOCK / 2


async def test_a_wait_that_began_before_the_timer_was_due_makes_no_delay_negative() -> None:
    late, own = await blocked_delay(7.0, 7.0 + 10 * BLOCK)
    assert late > own == 0.0


async def test_a_loop_that_is_blocked_most_of_the_time_is_late_most_of_the_time() -> None:
    async def block_in_turns() -> None:
        while True:
            time.sleep(0.08)  # noqa: ASYNC251 - what is measured
            await asyncio.sleep(0.02)

    blocking = asyncio.create_task(block_in_turns())
    # Of different lengths: not all of them in step with the turns.
    late = [(await timer_delay(0.12 + number / 100))[0] for number in range(8)]
    blocking.cancel()
    assert sum(delay > 0.01 for delay in late) >= 4


async def test_the_kernel_is_asked_by_default_and_may_know_nothing() -> None:
    late, own = await timer_delay()
    assert late >= own >= 0.0
