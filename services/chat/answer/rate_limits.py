"""From what the limiter knows of a call's limits to what the call's first event says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chasqui.v1 import stream_pb2
    from services.accounts.limiting.api import Standing


def show_rate_limits(started: stream_pb2.Started, standing: Standing) -> None:
    """Set the limits per minute, those that there are.

    In place, since protobuf copies every message that is put into another: that takes four times as long.
    """
    calls, tokens = standing.calls, standing.tokens
    if calls is not None:
        shown = started.rate_limits.requests
        shown.limit, shown.remaining, shown.reset_seconds = calls.limit, calls.remaining, calls.reset_seconds
    if tokens is not None:
        shown = started.rate_limits.tokens
        shown.limit, shown.remaining, shown.reset_seconds = tokens.limit, tokens.remaining, tokens.reset_seconds
