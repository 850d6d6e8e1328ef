"""The time limit that a caller without `grpc-timeout` sets, the header `x-request-timeout`."""

from __future__ import annotations

from services.errors import InvalidValue


def seconds_of(header: str | None) -> float | None:
    """The header's seconds, None if it is absent; InvalidValue if it is no duration.

    The edge passes it on and sets no deadline of its own: gRPC would cut the call on both sides at that moment, and
    whether the caller reads why would be a matter of luck.
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InvalidValue(
            f"x-request-timeout is {header!r}, but must be a positive number of seconds.", param="x-request-timeout"
        )
    return seconds
