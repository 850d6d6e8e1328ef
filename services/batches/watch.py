"""How far the batches of the database are, for the metrics of a server that does not run them itself."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from services.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.batches.api import Batches
    from services.batches.record import Batch

log = logging.getLogger(__name__)

_SECONDS: Final = 5.0


class BatchWatch:
    """Looks at all batches that have not ended every five seconds; without any, everything is 0."""

    def __init__(self, batches: Batches, pause: float = _SECONDS) -> None:
        """`pause` are the seconds between two looks."""
        self.unfinished = 0  # batches
        self.open_lines = 0  # lines of them without a result
        self.oldest = 0.0  # seconds since the oldest of them was created
        self._batches = batches
        self._pause = pause
        self._seen: object = None
        self._moved = time.monotonic()

    @property
    def idle(self) -> float:
        """Seconds since a line last got its result, or a batch its next state."""
        return time.monotonic() - self._moved if self.unfinished else 0.0

    async def run(self) -> None:
        """Look until cancelled; while that fails, the last state stays, and the first of several failures is logged."""
        failing = False
        while True:
            try:
                self.look(await asyncio.to_thread(self._batches.unfinished))
                failing = False
            except Unavailable as error:
                log.debug("the batches cannot be counted: %s", error)
            except Exception:
                if not failing:
                    log.exception("the batches cannot be counted")
                failing = True
            await asyncio.sleep(self._pause)

    def look(self, batches: Sequence[Batch]) -> None:
        """Take the state of all batches that have not ended."""
        seen = [(batch.id, batch.status, batch.completed, batch.failed) for batch in batches]
        if seen != self._seen:
            self._seen, self._moved = seen, time.monotonic()
        self.unfinished = len(batches)
        self.open_lines = sum(batch.total - batch.completed - batch.failed for batch in batches)
        first = min((batch.created_at for batch in batches), default=None)
        self.oldest = 0.0 if first is None else (datetime.now(UTC) - first).total_seconds()
