"""Runs the lines of all batches, so many at a time, until it is cancelled."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from sqlalchemy.exc import SQLAlchemyError

from edge.batches.line_call import result_of
from edge.batches.stages import lead
from services.batches.line_store import LEASE
from services.batches.record import Status
from services.errors import Unavailable
from services.tasks import awaited_task

if TYPE_CHECKING:
    from datetime import timedelta

    from edge.upstream.transport import Transport
    from services.batches.record import Batch, ClaimedLine
    from services.batches.storage import BatchStorage

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.5
_SWEEP_SECONDS: Final = 600.0


class BatchRunner:
    """A runner that dies leaves nothing behind but leases, which end by themselves.

    Several runners may share a database. `completed` and `failed` count the lines whose result this one has written.
    """

    def __init__(self, storage: BatchStorage, transport: Transport, parallel: int, file_age: timedelta) -> None:
        """`parallel` lines are in flight at a time."""
        self.completed = 0
        self.failed = 0
        self._storage = storage
        self._transport = transport
        self._parallel = parallel
        self._file_age = file_age
        self._worker = uuid4().hex
        self._tasks: dict[asyncio.Task[None], ClaimedLine] = {}
        self._stuck: set[str] = set()  # batches that could not be led on when that was last tried
        self._renewed = self._swept = 0.0

    @property
    def in_flight(self) -> int:
        """Lines that are being run."""
        return len(self._tasks)

    async def run(self) -> None:
        """Run until cancelled; then the lines in flight are given back."""
        away = False
        try:
            while True:
                try:
                    await self._turn()
                    away = False
                except (OSError, SQLAlchemyError, Unavailable) as error:
                    if not away:
                        log.error("batches wait: %s", error)
                    away = True
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._line_ended(), _POLL_SECONDS)
        finally:
            await self._give_back()

    async def _turn(self) -> None:
        """Lead batches on, and fill the free slots with lines."""
        now = time.monotonic()
        if now - self._renewed > LEASE.total_seconds() / 4:
            await asyncio.to_thread(self._storage.lines.renew, self._worker)
            self._renewed = now
        if now - self._swept > _SWEEP_SECONDS:
            await asyncio.to_thread(self._storage.files.sweep, self._file_age)
            self._swept = now
        batches = await asyncio.to_thread(self._storage.batches.unfinished)
        self._drop({batch.id for batch in batches if batch.status is Status.IN_PROGRESS})
        for batch in batches:
            await self._lead(batch)
        free = self._parallel - len(self._tasks)
        if batches and free and self._transport.connected:
            for claimed in await asyncio.to_thread(self._storage.lines.claim, self._worker, free):
                name = f"line {claimed.line.number} of {claimed.line.batch}"
                self._tasks[awaited_task(self._run(claimed), name)] = claimed

    async def _lead(self, batch: Batch) -> None:
        """Lead a batch on. One that cannot be is logged once and tried again in every turn; the others go on."""
        try:
            await asyncio.to_thread(lead, self._storage, batch)
            self._stuck.discard(batch.id)
        except (SQLAlchemyError, Unavailable):
            raise
        except Exception:
            if batch.id not in self._stuck:
                log.exception("a batch cannot be led on", extra={"fields": {"batch": batch.id}})
            self._stuck.add(batch.id)

    def _drop(self, running: set[str]) -> None:
        """End the calls of batches that no longer run."""
        for task, claimed in self._tasks.items():
            if claimed.line.batch not in running:
                task.cancel()

    async def _run(self, claimed: ClaimedLine) -> None:
        data = await asyncio.to_thread(self._read, claimed)
        result = await result_of(claimed, data, self._transport)
        finish = partial(self._storage.lines.finish, claimed.line, result.text)
        if await asyncio.to_thread(finish, succeeded=result.succeeded, calls=result.calls):
            self.completed += result.succeeded
            self.failed += not result.succeeded

    def _read(self, claimed: ClaimedLine) -> bytes:
        line = claimed.line
        return self._storage.files.contents.read(claimed.input_file, line.offset, line.length)

    async def _line_ended(self) -> None:
        """Wait for the end of a line that is in flight, and forget those that have ended."""
        if not self._tasks:
            await asyncio.sleep(_POLL_SECONDS)
            return
        ended, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            del self._tasks[task]
            if not task.cancelled() and task.exception() is not None:
                # Its lease ends, and it is run again.
                log.error("%s failed", task.get_name(), exc_info=task.exception())

    async def _give_back(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(SQLAlchemyError, Unavailable):
            await asyncio.to_thread(self._storage.lines.release, self._worker)
