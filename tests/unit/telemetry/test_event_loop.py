"""How late an event loop is, and which part of that is its own process's fault."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from services.telemetry.event_loop import timer_delay
from tests.support.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 0.2
INTERVAL = 0.1
NEARLY = 1e-6  # of seconds: as exact as sums of them are


def in_turns(loop: VirtualTimeLoop) -> None:
    """Block the loop 80 ms of every 100 ms."""
    loop.block(0.08)
    loop.call_later(0.02, in_turns, loop)


def measured(
    cpu_wait: Callable[[VirtualTimeLoop], float],
    *intervals: float,
    beside: Callable[[VirtualTimeLoop], None] | None = None,
) -> list[tuple[float, float]]:
    """The delays of timers, one after the other; `cpu_wait` is the kernel, and `beside` a callback of the loop."""
    loop = VirtualTimeLoop()

    async def measure() -> list[tuple[float, float]]:
        if beside is not None:
            loop.call_soon(beside, loop)
        return [await timer_delay(interval, lambda: cpu_wait(loop)) for interval in intervals]

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(measure())


def blocked_delay(*cpu_waits: float, before: int) -> tuple[float, float]:
    """The delay while a callback blocks the loop, with what the kernel says each time that it is asked.

    The callback runs once the kernel was asked `before` times: the first is when the timer is set, the second just
    before it is due.
    """
    answers = iter(cpu_waits)
    asked = 0

    def cpu_wait(loop: VirtualTimeLoop) -> float:
        nonlocal asked
        asked += 1
        if asked == before:
            loop.call_soon(loop.block, BLOCK)
        return next(answers)

    [delay] = measured(cpu_wait, INTERVAL)
    assert list(answers) == []
    return delay


def test_a_callback_that_blocks_the_loop_is_the_processs_own_delay() -> None:
    late, own = blocked_delay(7.0, 7.0, before=1)
    assert abs(late - (BLOCK - INTERVAL)) < NEARLY
    assert own == late


def test_what_the_thread_waited_for_a_cpu_is_not() -> None:
    late, own = blocked_delay(7.0, 7.0 + BLOCK / 8, before=1)
    assert abs(late - own - BLOCK / 8) < NEARLY


def test_what_it_waited_well_before_the_timer_was_due_is_no_part_of_the_delay() -> None:
    late, own = blocked_delay(7.0, 7.5, 7.5, before=2)
    assert own == late > BLOCK / 2


def test_a_wait_that_began_before_the_timer_was_due_makes_no_delay_negative() -> None:
    late, own = blocked_delay(7.0, 7.0 + 10 * BLOCK, before=1)
    assert late > own == 0.0


def test_a_loop_that_is_blocked_most_of_the_time_is_late_most_of_the_time() -> None:
    # Of different lengths: not all of them in step with the turns.
    intervals = (0.12 + number / 100 for number in range(20))
    delays = measured(lambda _: 7.0, *intervals, beside=in_turns)
    assert sum(late > 0.01 for late, _ in delays) >= 10


async def test_the_kernel_is_asked_by_default_and_may_know_nothing() -> None:
    late, own = await timer_delay(0.05)
    assert late >= own >= 0.0
