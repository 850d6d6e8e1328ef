"""Calls that are ended with an error when the edge must stop before they have ended by themselves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from services.errors import Interrupted

if TYPE_CHECKING:
    from types import TracebackType


class InterruptibleCalls:
    """The running calls of a worker: `with` it a task awaits a call, and raises Interrupted from `interrupt` on."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._interrupted = False

    def __enter__(self) -> None:
        """The current task awaits a call."""
        if self._interrupted:
            raise Interrupted
        self._tasks.add(_current_task())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """The current task awaits it no more."""
        task = _current_task()
        self._tasks.discard(task)
        if self._interrupted and isinstance(error, asyncio.CancelledError):
            task.uncancel()
            raise Interrupted from None

    def interrupt(self) -> None:
        """End all running calls, and those that come."""
        self._interrupted = True
        for task in self._tasks:
            task.cancel()


def _current_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a call runs in a task")
    return task
