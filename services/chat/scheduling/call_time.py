"""How long ago a call arrived, and how long it may still take."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CallTime:
    """Times are in seconds, by the monotonic clock; `limit` counts from the arrival, None for no limit."""

    limit: float | None
    received: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Since the arrival."""
        return time.monotonic() - self.received

    @property
    def left(self) -> float | None:
        """To the deadline, negative once it has passed."""
        return None if self.limit is None else self.limit - self.elapsed
