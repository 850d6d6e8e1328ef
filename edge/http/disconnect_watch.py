"""Notices that a caller disconnects while its response is being made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from edge.http.exchange import current_exchange
from services.tasks import background_task

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.types import Receive


class DisconnectWatch:
    """Cancels its block when the caller disconnects or `give_up` is called, which is no error but the end of it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None
        self._given_up = False

    def __enter__(self) -> Self:
        """Watch from now on."""
        self._task = asyncio.current_task()
        self._watcher = background_task(self._watch(), "disconnect watch")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        """End the watch, and the cancellation if it was this watch's."""
        self.end()
        if not (self._given_up and isinstance(error, asyncio.CancelledError)):
            return False
        current_exchange.get().hung_up = True
        if self._task is not None:
            self._task.uncancel()
        return True

    def give_up(self) -> None:
        """The caller is gone, or has read nothing for too long."""
        self._given_up = True
        if self._task is not None:
            self._task.cancel()

    def end(self) -> None:
        """Only the end of the response is left to be sent.

        A server reports that end as a disconnect if anybody still waits for one.
        """
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None  # its coroutine holds this watch: breaks that reference cycle

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.give_up()
