"""The time limit of a call: its gRPC deadline, or the header `x-request-timeout` of callers that have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.errors import InvalidValue, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping


def remaining_seconds(metadata: Mapping[str, str], grpc_remaining: float | None = None) -> float | None:
    """The seconds that are left for a call, None for no limit; InvalidValue if `x-request-timeout` is no duration.

    The edge forwards the header and sets no gRPC deadline: gRPC would end the call on both sides at that moment, and
    whether the caller still received the error message would be a race.
    """
    header = metadata.get("x-request-timeout")
    if header is None:
        return grpc_remaining
    try:
        seconds = float(header)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InvalidValue(
            f"x-request-timeout is {quoted(header)}, but must be a positive number of seconds.",
            param="x-request-timeout",
        )
    return seconds if grpc_remaining is None else min(seconds, grpc_remaining)
