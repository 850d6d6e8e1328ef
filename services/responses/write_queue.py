"""Writes responses to the database: a thread stores all that wait in one transaction, and removes old ones."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from services.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.responses.record import StoredResponse

log = logging.getLogger(__name__)

# Of responses that wait for the database.
MAX_WAITING_CHARACTERS: Final = 64 * 1024 * 1024
# Of one response with the input of its request.
MAX_CHARACTERS: Final = 16 * 1024 * 1024
_RETRY_SECONDS: Final = 1.0
_SWEEP_SECONDS: Final = 600.0


class WriteQueue:
    """Takes responses from any thread. What cannot be written is not kept: whoever waits for it is told so."""

    def __init__(self, write: Callable[[Sequence[StoredResponse]], None], sweep: Callable[[], bool]) -> None:
        """`write` stores responses, none to try the database; `sweep` removes old ones, and returns if there are more.

        Both raise whatever the database raises.
        """
        self._write = write
        self._sweep = sweep
        self._waiting: deque[tuple[StoredResponse, Future[bool]]] = deque()
        self._waiting_characters = 0
        self._lock = threading.Lock()  # of the count
        self._wake = threading.Event()
        self._closing = False
        self._away = False
        self._next_sweep = 0.0
        self._thread = threading.Thread(target=self._run, name="responses", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Unavailable if a response that is put now would not be stored."""
        if self._away or self._waiting_characters > MAX_WAITING_CHARACTERS:
            raise unavailable()

    def put(self, response: StoredResponse) -> Future[bool]:
        """Store a response; whether it is stored, once that is known. Until it is being written it can be cancelled."""
        stored: Future[bool] = Future()
        with self._lock:
            waiting = self._waiting_characters + response.size
            if self._away or response.size > MAX_CHARACTERS or waiting > MAX_WAITING_CHARACTERS:
                stored.set_result(False)
                return stored
            self._waiting_characters = waiting
            self._waiting.append((response, stored))
        self._wake.set()
        return stored

    def close(self) -> None:
        """Store what waits, and end."""
        self._closing = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(_RETRY_SECONDS)
            self._wake.clear()
            self._turn()
        self._turn()

    def _turn(self) -> None:
        """Write everything that waits, and remove what is old; while the database is away, look whether it is back."""
        with self._lock:
            taken = list(self._waiting)
            self._waiting.clear()
            self._waiting_characters = 0
        kept = [(response, stored) for response, stored in taken if stored.set_running_or_notify_cancel()]
        if kept or self._away:
            self._attempt(lambda: self._write([response for response, _ in kept]))
            for _, stored in kept:
                stored.set_result(not self._away)
        if not self._away and time.monotonic() >= self._next_sweep:
            self._attempt(self._remove_old)

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - logged; without this thread nothing would be stored any more
            if not self._away:
                log.error("responses are not stored, for the database is away: %s", error)
            self._away = True
            return
        if self._away:
            log.info("responses are stored again")
        self._away = False

    def _remove_old(self) -> None:
        has_more = self._sweep()
        self._next_sweep = 0.0 if has_more else time.monotonic() + _SWEEP_SECONDS


def unavailable() -> Unavailable:
    """The error of a call that needs the stored responses while their database is away."""
    return Unavailable("Responses cannot be stored or read at the moment.", reason="STORE_UNAVAILABLE", retry_after=1.0)
