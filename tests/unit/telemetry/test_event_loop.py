"""How late an event loop is, and which part of that is its own process's fault."""

from __future__ import annotations

import asyncio
import time

from services.telemetry.event_loop import timer_delay

BLOCK = 0.2


async def blocked_delay(*cpu_waits: float) -> tuple[float, float]:
    """The delay of a timer while a callback blocks the loop, with what the kernel says before and after it."""
    asyncio.get_running_loop().call_soon(time.sleep, BLOCK)
    return await timer_delay(iter(cpu_waits).__next__)


async def test_a_callback_that_blocks_the_loop_is_the_processs_own_delay() -> None:
    late, own = await blocked_delay(7.0, 7.0)
    assert late == own > BLOCK / 2


async def test_what_the_thread_waited_for_a_cpu_is_not() -> None:
    late, own = await blocked_delay(7.0, 7.0 + BLOCK / 4)
    assert abs(late - own - BLOCK / 4) < 1e-9


async def test_a_wait_that_began_before_the_timer_was_due_makes_no_delay_negative() -> None:
    late, own = await blocked_delay(7.0, 7.0 + 10 * BLOCK)
    assert late > own == 0.0


async def test_the_kernel_is_asked_by_default_and_may_know_nothing() -> None:
    late, own = await timer_delay()
    assert late >= own >= 0.0
