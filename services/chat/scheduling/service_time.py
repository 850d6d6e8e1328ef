"""How long calls hold their places in the engine, and what that says of the wait for one; times are in seconds."""

from __future__ import annotations

import random

# Of each new observation; what TCP takes for its round-trip time (RFC 6298).
_WEIGHT = 1 / 8
_SHORTEST_HINT = 1.0
_LONGEST_HINT = 60.0


class ServiceTime:
    """A moving average of the time that a call runs."""

    def __init__(self) -> None:
        self._mean: float | None = None

    def observe(self, seconds: float) -> None:
        """A call has ended after so long."""
        self._mean = seconds if self._mean is None else self._mean + _WEIGHT * (seconds - self._mean)

    def wait(self, choices: int, places: int) -> float:
        """Until the last of so many waiting choices begins, all places being taken; 0 while nothing is known.

        A place becomes free every mean / places seconds.
        """
        return 0.0 if self._mean is None else self._mean * choices / places


def retry_hint(wait: float) -> float:
    """When to come again after so long a wait: up to twice as late, so that the refused do not come back together."""
    base = min(max(wait, _SHORTEST_HINT), (_LONGEST_HINT - 1) / 2)
    return random.uniform(base, 2 * base + 1)  # noqa: S311 - spreads retries, guards nothing
