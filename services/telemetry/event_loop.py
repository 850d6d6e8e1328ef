"""Metrics of a process's event loop: how late its timers are, and how many tasks it has."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics

from services.telemetry.histogram import histogram

if TYPE_CHECKING:
    from collections.abc import Callable

_INTERVAL: Final = 0.5
# How long before a timer is due the kernel is asked: then next to nothing but the delay lies between its two answers.
_JUST_BEFORE: Final = 0.01
_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
# Nanoseconds on a CPU, nanoseconds ready but without one, and time slices: Documentation/scheduler/sched-stats.rst of
# the Linux kernel.
_SCHEDULER: Final = Path("/proc/thread-self/schedstat")


async def watch_event_loop() -> None:
    """Record the delays and the number of tasks of the running event loop, until cancelled."""
    meter = metrics.get_meter("chasqui")
    tasks = meter.create_gauge("chasqui.event_loop.tasks", "{task}", "Tasks of the event loop.")
    lag = histogram("chasqui.event_loop.lag", "Delay of a timer of the event loop beyond its due time.", _BUCKETS)
    blocked = histogram(
        "chasqui.event_loop.blocked",
        "That delay without the time that the loop's thread was ready and other processes had the CPUs.",
        _BUCKETS,
    )
    lag.begin({})
    blocked.begin({})
    while True:
        tasks.set(len(asyncio.all_tasks()))
        late, own = await timer_delay()
        lag.record(late, {})
        blocked.record(own, {})


async def timer_delay(interval: float = _INTERVAL, cpu_wait: Callable[[], float] | None = None) -> tuple[float, float]:
    """How many seconds late a timer of `interval` seconds is, and how many of them this process is to blame for.

    `cpu_wait` gives the seconds that the calling thread has waited for a CPU in all; by default it asks the kernel.
    """
    waited = cpu_wait or _cpu_wait
    loop = asyncio.get_running_loop()
    # Set long before: what begins when a callback has just ended would mostly miss those that block the loop.
    due = loop.time() + interval
    before = waited()
    await asyncio.sleep(interval - _JUST_BEFORE)
    if loop.time() < due:
        before = waited()
    await asyncio.sleep(max(due - loop.time(), 0.0))
    late = max(loop.time() - due, 0.0)
    return late, max(late - (waited() - before), 0.0)


def _cpu_wait() -> float:
    """Zero where the kernel does not count: every delay counts as the process's own there."""
    try:
        return int(_SCHEDULER.read_bytes().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
