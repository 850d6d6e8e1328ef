"""How long calls run, and the wait that follows from it for a queued one; times are in seconds."""

from __future__ import annotations

import random

# Weight of each new observation, as for TCP's round-trip time (RFC 6298).
_WEIGHT = 1 / 8
_SHORTEST_HINT = 1.0
_LONGEST_HINT = 60.0


class ServiceTime:
    """An exponential moving average of the time that a call runs."""

    def __init__(self) -> None:
        self._mean: float | None = None

    def observe(self, seconds: float) -> None:
        """A call has ended after `seconds`."""
        self._mean = seconds if self._mean is None else self._mean + _WEIGHT * (seconds - self._mean)

    def wait(self, choices: int, slots: int) -> float:
        """Until the last of so many queued choices starts, while all slots are in use; 0 before any observation.

        A slot becomes free every mean / slots seconds.
        """
        return 0.0 if self._mean is None else self._mean * choices / slots


def retry_hint(wait: float) -> float:
    """When to retry after an expected `wait`: jittered, so that refused clients do not retry at the same moment."""
    base = min(max(wait, _SHORTEST_HINT), (_LONGEST_HINT - 1) / 2)
    return random.uniform(base, 2 * base + 1)  # noqa: S311 - spreads retries, guards nothing
