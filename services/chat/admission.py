"""Counts the calls inside the server and refuses those that it cannot take."""

from __future__ import annotations

import asyncio
import random

from services.errors import Unavailable


class Admission:
    """Admits at most `running` + `queued` calls at a time, and none once it is closed."""

    def __init__(self, running: int, queued: int) -> None:
        self._running = running
        self._capacity = running + queued
        self._inside = 0
        self._open = True
        self._empty = asyncio.Event()
        self._empty.set()

    def enter(self) -> None:
        """Count a call in; Unavailable if the server is full or draining. The retry hint is jittered."""
        retry_after = 1 + random.random()  # noqa: S311 - spreads retries, guards nothing
        if not self._open:
            raise Unavailable("The server is shutting down.", reason="DRAINING", retry_after=retry_after)
        if self._inside >= self._capacity:
            raise Unavailable(
                f"The server is busy with {self._inside} calls; try again later.",
                reason="OVERLOADED",
                retry_after=retry_after,
            )
        self._inside += 1
        self._empty.clear()

    def leave(self) -> None:
        """Count a call out, once the engine has let go of it."""
        self._inside -= 1
        if not self._inside:
            self._empty.set()

    @property
    def running(self) -> int:
        """Calls that the engine can work on now."""
        return min(self._inside, self._running)

    @property
    def waiting(self) -> int:
        """Calls that wait for others to end."""
        return self._inside - self.running

    def close(self) -> None:
        """Refuse new calls from now on."""
        self._open = False

    async def drained(self) -> None:
        """Wait until no call is inside."""
        await self._empty.wait()
