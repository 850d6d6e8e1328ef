"""Hands the messages of threads to the event loop, those of one step together."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")

# How long the messages of a step wait for each other at most. A sequence in prefill has none in most steps.
_GATHER_SECONDS: Final = 0.001


class Inbox(Generic[Item]):
    """Takes items from any thread, and hands all that are there to `deliver`, in the loop.

    Each running sequence posts one item for a step, from as many threads, within 0.2 ms. They are delivered when there
    are as many as `expected` says, or after _GATHER_SECONDS: once for the step, not once for each token.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, expected: Callable[[], int], deliver: Callable[[Sequence[Item]], None]
    ) -> None:
        self._loop = loop
        self._expected = expected
        self._deliver = deliver
        self._items: deque[Item] = deque()
        self._woken = False  # whether the loop knows of the items
        self._timer: asyncio.TimerHandle | None = None

    def post(self, item: Item) -> None:
        """Add an item; may be called in any thread."""
        self._items.append(item)
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._wait)
        elif self._timer is not None and len(self._items) == self._expected():
            self._loop.call_soon_threadsafe(self._flush)

    def _wait(self) -> None:
        if len(self._items) >= self._expected():
            self._flush()
        else:
            self._timer = self._loop.call_later(_GATHER_SECONDS, self._flush)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # Cleared first: an item that is posted from now on wakes the loop again.
        self._woken = False
        items: list[Item] = []
        while self._items:
            items.append(self._items.popleft())
        if items:
            self._deliver(items)
