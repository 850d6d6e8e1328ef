"""The time that a call waits for the engine and runs in it, with interruptions."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.engine.api import End, Handle


class EngineRun:
    """Begins when the call is queued. When the call gives up its slots and is queued once more, it begins again.

    `on_released` is called, after a cancellation, with the seconds until the slots in the engine were free.
    """

    def __init__(self, on_released: Callable[[float], None]) -> None:
        self._on_released = on_released
        self._queued = time.monotonic()
        self._queue_seconds = 0.0  # until the engine had the call
        self._handle: Handle | None = None
        self._cancelled = False
        # Of a call that goes on behind the tokens that it has: the end of its first run, and when that was.
        self._first: End | None = None
        self._interrupted = 0.0

    @property
    def submitted(self) -> bool:
        """Whether the engine has the call."""
        return self._handle is not None

    def submit(self, submit: Callable[[], Handle]) -> None:
        """Give the call to the engine, whose own timings begin in `submit`."""
        self._queue_seconds = time.monotonic() - self._queued
        self._handle = submit()

    def withdraw(self) -> None:
        """The call ends before the engine had it."""
        self._queue_seconds = time.monotonic() - self._queued

    def interrupt(self, end: End) -> None:
        """The engine has ended the call, which is queued once more, to go on behind the tokens that it has."""
        if self._first is None:
            self._first, self._interrupted = self.total(end), time.monotonic()
        self._next()

    def begin_again(self) -> None:
        """The engine has ended the call, which is queued once more, to begin from nothing."""
        self._first = None
        self._next()

    def total(self, end: End) -> End:
        """The end of a call whose last run had this one.

        The prompt is counted once, as its first run had it. An interruption counts as decoding: it is between the first
        token and the last.
        """
        if self._first is None:
            return replace(end, timings=replace(end.timings, queue=self._queue_seconds + end.timings.queue))
        first = self._first.timings
        decode = first.decode + time.monotonic() - self._interrupted
        return replace(self._first, error=end.error, timings=replace(first, decode=decode))

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

    def _next(self) -> None:
        self._handle = None
        self._cancelled = False
