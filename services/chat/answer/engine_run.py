"""The time that a call waits for the engine and runs in it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.engine.api import Handle


class EngineRun:
    """Begins when the call is queued; begins again when it gave up its slots and is queued once more.

    `on_released` is called, after a cancellation, with the seconds until the slots in the engine were free.
    """

    def __init__(self, on_released: Callable[[float], None]) -> None:
        self.queue_seconds = 0.0  # until the engine had the call
        self._on_released = on_released
        self._queued = time.monotonic()
        self._handle: Handle | None = None
        self._cancelled = False

    @property
    def submitted(self) -> bool:
        """Whether the engine has had the call."""
        return self._handle is not None

    def submit(self, handle: Handle) -> None:
        """The engine has the call."""
        self._handle = handle
        self.queue_seconds = time.monotonic() - self._queued

    def withdraw(self) -> None:
        """The call ends before the engine had it."""
        self.queue_seconds = time.monotonic() - self._queued

    def begin_again(self) -> None:
        """The engine has ended the call, which is queued once more."""
        self._handle = None
        self._cancelled = False

    def end(self) -> None:
        """The engine has ended the call. The handle holds its sink: this breaks that reference cycle."""
        self._handle = None

    def cancel_choice(self, index: int) -> None:
        """End one choice early."""
        if self._handle is not None:
            self._handle.cancel(index)

    def cancel(self) -> None:
        """End the whole generation early; idempotent."""
        if self._handle is None:
            return
        if not self._cancelled:
            self._cancelled = True
            began = time.monotonic()
            self._handle.released.add_done_callback(lambda _: self._on_released(time.monotonic() - began))
        self._handle.cancel()
