"""The response headers that show how the limits of the caller's key stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.rate_limit_headers import rate_limit_headers

if TYPE_CHECKING:
    from chasqui.v1.chat_pb2 import RateLimits


def limit_headers(limits: RateLimits) -> dict[str, str]:
    """The headers; none without limits."""
    return rate_limit_headers(
        limits.requests if limits.HasField("requests") else None,
        limits.tokens if limits.HasField("tokens") else None,
    )
