"""The headers, or trailing metadata, by which OpenAI's API shows how limits per minute stand."""

from __future__ import annotations

from typing import Final, Protocol

_REQUESTS: Final = ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")
_TOKENS: Final = ("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens")


class RateLimit(Protocol):
    """A limit as it stands: what is left of it, and the seconds until all of it is there again."""

    @property
    def limit(self) -> int:
        """Calls or tokens of a minute."""

    @property
    def remaining(self) -> int:
        """What is left of them."""

    @property
    def reset_seconds(self) -> float:
        """From now on."""


def rate_limit_headers(requests: RateLimit | None, tokens: RateLimit | None) -> dict[str, str]:
    """Three headers for each limit that there is."""
    headers = {}
    for names, gauge in ((_REQUESTS, requests), (_TOKENS, tokens)):
        if gauge is not None:
            limit, remaining, reset = names
            headers[limit] = str(gauge.limit)
            headers[remaining] = str(gauge.remaining)
            headers[reset] = f"{gauge.reset_seconds:.2f}s"
    return headers
