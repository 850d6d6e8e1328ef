"""The deadline of a running call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds. A gRPC client ends a call at its deadline by itself, and its clock for that started before ours.
_EARLY: Final = 0.05


class Deadline:
    """Calls `on_expiry` after `seconds`, unless it is cancelled before."""

    def __init__(self, seconds: float, on_expiry: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(max(seconds, 0), on_expiry)

    @property
    def passed(self) -> bool:
        """Whether a caller that leaves now has waited until its deadline."""
        return self._loop.time() > self._timer.when() - _EARLY

    def cancel(self) -> None:
        """The call has ended."""
        self._timer.cancel()
