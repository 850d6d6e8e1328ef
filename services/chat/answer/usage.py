"""From an engine's end of a generation to the usage and the timings of its call; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration

from chasqui.v1 import chat_pb2

if TYPE_CHECKING:
    from services.accounts.price import Price
    from services.engine.api import End, EngineTimings


def usage_of(end: End, completion_tokens: int, price: Price) -> chat_pb2.Usage:
    """What a call costs. `completion_tokens` were generated for its caller."""
    total = end.prompt_tokens + completion_tokens
    return chat_pb2.Usage(
        prompt_tokens=end.prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=total,
        cached_tokens=end.cached_tokens,
        estimated_cost=float(price.cost(end.prompt_tokens, end.cached_tokens, completion_tokens)),
    )


def timings_of(timings: EngineTimings, tokenize_seconds: float, total_seconds: float) -> chat_pb2.Timings:
    """Where the time of a call went; `timings` count its wait for the engine too."""
    return chat_pb2.Timings(
        queue=_duration(timings.queue),
        tokenize=_duration(tokenize_seconds),
        prefill=_duration(timings.prefill),
        decode=_duration(timings.decode),
        total=_duration(total_seconds),
    )


def _duration(seconds: float) -> Duration:
    nanoseconds = max(round(seconds * 1e9), 0)
    return Duration(seconds=nanoseconds // 10**9, nanos=nanoseconds % 10**9)
