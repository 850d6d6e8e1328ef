"""From what the limiter knows of a call's limits to what the call's first event says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chasqui.v1 import chat_pb2, stream_pb2
    from services.accounts.limiting.api import Gauge, Standing


def show_rate_limits(started: stream_pb2.Started, standing: Standing) -> None:
    """Set the limits per minute, those that there are.

    In place, since protobuf copies every message that is put into another: that takes four times as long.
    """
    if standing.calls is not None:
        _set(started.rate_limits.requests, standing.calls)
    if standing.tokens is not None:
        _set(started.rate_limits.tokens, standing.tokens)


def _set(limit: chat_pb2.RateLimit, gauge: Gauge) -> None:
    limit.limit = gauge.limit
    limit.remaining = gauge.remaining
    limit.reset_seconds = gauge.reset_seconds
