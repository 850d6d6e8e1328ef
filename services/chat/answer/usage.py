"""From an engine's end of a generation to the usage and the timings of its call; pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chasqui.v1 import chat_pb2
from services.accounts.prices.money import PICODOLLARS

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration

    from services.engine.api import End, EngineTimings


def usage_of(end: End, completion_tokens: int, cost: int) -> chat_pb2.Usage:
    """The usage of a call that costs so many picodollars. `completion_tokens` were generated for its caller."""
    total = end.prompt_tokens + completion_tokens
    return chat_pb2.Usage(
        prompt_tokens=end.prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=total,
        cached_tokens=end.cached_tokens,
        estimated_cost=cost / PICODOLLARS,
    )


def timings_of(timings: EngineTimings, tokenize_seconds: float, total_seconds: float) -> chat_pb2.Timings:
    """Where the time of a call went; `timings` count its wait for the engine too.

    An engine measures with a clock of its own, in another thread: what the phases have more than the total is cut off,
    from the last on.
    """
    measured = chat_pb2.Timings()
    left = total_seconds
    for phase, seconds in (
        (measured.tokenize, tokenize_seconds),
        (measured.queue, timings.queue),
        (measured.prefill, timings.prefill),
        (measured.decode, timings.decode),
    ):
        within = min(max(seconds, 0.0), left)
        left -= within
        _set(phase, within)
    _set(measured.total, total_seconds)
    return measured


def _set(duration: Duration, seconds: float) -> None:
    duration.seconds, duration.nanos = divmod(max(math.floor(seconds * 1e9), 0), 10**9)
