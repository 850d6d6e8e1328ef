"""Makes one answer of several calls, one per prompt of `n` choices: choice j of prompt i has index i*n + j; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chasqui.v1 import chat_pb2, stream_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence


def begun(events: Sequence[stream_pb2.Started]) -> stream_pb2.Started:
    """The beginning of the answer: the first call's, with the limits as they stand after all calls.

    Each call took its part of them: the one that left the least was the last to be accepted.
    """
    first = stream_pb2.Started()
    first.CopyFrom(events[0])
    if first.HasField("rate_limits"):
        first.rate_limits.CopyFrom(min((event.rate_limits for event in events), key=_left))
    return first


def _left(limits: chat_pb2.RateLimits) -> tuple[int, int]:
    return limits.requests.remaining, limits.tokens.remaining


def longest(timings: Sequence[chat_pb2.Timings]) -> chat_pb2.Timings:
    """Those of the call that ended last: they begin together."""
    return max(timings, key=lambda measured: measured.total.ToNanoseconds())


def total_usage(usages: Sequence[chat_pb2.Usage]) -> chat_pb2.Usage:
    """The sum of the usage of several calls."""
    return chat_pb2.Usage(
        prompt_tokens=sum(usage.prompt_tokens for usage in usages),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
        total_tokens=sum(usage.total_tokens for usage in usages),
        cached_tokens=sum(usage.cached_tokens for usage in usages),
        estimated_cost=sum(usage.estimated_cost for usage in usages),
    )


def moved(event: stream_pb2.StreamEvent, by: int) -> stream_pb2.StreamEvent:
    """An event of a choice, `by` choices further."""
    copy = stream_pb2.StreamEvent()
    copy.CopyFrom(event)
    if copy.HasField("delta"):
        copy.delta.index += by
    elif copy.HasField("finish"):
        copy.finish.index += by
    return copy
