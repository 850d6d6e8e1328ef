"""An event loop whose clock jumps to the next timer instead of waiting for it: minutes pass in seconds, exactly."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class _Selector(selectors.SelectSelector):
    """Finds what is ready now, and lets the time pass that there is nothing to do."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Never waits; the loop asks without a timeout if it has no timer, and would wait for ever."""
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("Everything waits, and there is no timer.")
        if not ready and timeout is not None:
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """For work without threads and processes, whose time would not pass."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._clock.now

    def block(self, seconds: float) -> None:
        """Take so long, as a callback does that computes."""
        self._clock.now += seconds
