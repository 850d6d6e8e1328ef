"""Calls that are ended with an error when the edge must stop before they have ended by themselves."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from services.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator


class InterruptibleCalls:
    """The running calls of a worker."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._interrupted = asyncio.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the block, which awaits a call in the current task; raises Interrupted from `interrupt` on."""
        if self._interrupted.is_set():
            raise Interrupted
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a call runs in a task")
        self._tasks.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._interrupted.is_set():
                raise
            task.uncancel()
            raise Interrupted from None
        finally:
            self._tasks.discard(task)

    def interrupt(self) -> None:
        """End all running calls, and those that come."""
        self._interrupted.set()
        for task in self._tasks:
            task.cancel()
