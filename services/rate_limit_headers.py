"""The headers, or trailing metadata, by which OpenAI's API shows how limits per minute stand."""

from __future__ import annotations

from typing import Protocol


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
    for name, gauge in (("requests", requests), ("tokens", tokens)):
        if gauge is not None:
            headers[f"x-ratelimit-limit-{name}"] = str(gauge.limit)
            headers[f"x-ratelimit-remaining-{name}"] = str(gauge.remaining)
            headers[f"x-ratelimit-reset-{name}"] = f"{gauge.reset_seconds:.2f}s"
    return headers
