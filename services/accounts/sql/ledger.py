"""Writes the ledger: a thread takes the entries of calls in batches to the database, or to the journal meanwhile."""

from __future__ import annotations

import logging
import threading
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from services.accounts.api import LedgerState
from services.accounts.ledger.open_calls import OpenCalls
from services.accounts.sql.database import driver_cursor
from services.accounts.sql.entry_insert import EntryInsert

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Engine

    from services.accounts.ledger.entry import LedgerEntry
    from services.accounts.ledger.journal import Journal

log = logging.getLogger(__name__)

# Entries are gathered this long: a call is in the database, or in the journal, well within a second. Every batch takes,
# beside its rows, a transaction, and the GIL from the event loop a few times.
_BATCH_SECONDS: Final = 0.4
_RETRY_SECONDS: Final = 1.0
_BATCH_ROWS: Final = 1000


class Ledger:
    """Takes the entries of a loop's calls. An entry whose call is recorded already changes nothing."""

    def __init__(self, engine: Engine, journal: Journal) -> None:
        """`journal` and the file beside it may hold what a server before has left; it is closed with the ledger."""
        self._written = 0
        self._dropped = 0  # entries that neither the database nor the journal can take; the log has them
        self._engine = engine
        self._journal = journal
        self._open_calls = OpenCalls(journal.path.with_name(f"{journal.path.name}-calls"))
        self.begin = self._open_calls.write  # as it is: a method that calls it would take time in every call
        self._waiting: deque[LedgerEntry] = deque(self._open_calls.left)
        self._away = False
        self._closing = threading.Event()
        self._insert = EntryInsert(engine.dialect)
        driver: Any = engine.dialect.loaded_dbapi
        # What it raises for a row that it can never take: a number too large for it, a NUL in a text.
        self._wrong_row = driver.DataError, driver.IntegrityError, OverflowError, ValueError
        # What a server that died has left is in the database before the first call asks what was spent.
        self._turn()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def state(self) -> LedgerState:
        """How far the ledger is."""
        return LedgerState(self._written, len(self._waiting), self._journal.rows, self._dropped)

    def forget(self, call_id: str) -> None:
        """The call that was begun shall have no row."""
        self._open_calls.forget((call_id,))

    def record(self, entry: LedgerEntry) -> None:
        """Write an entry, soon; never waits."""
        self._open_calls.write(entry)
        self._waiting.append(entry)

    def close(self) -> None:
        """Write what is left, and end."""
        self._closing.set()
        self._thread.join()
        self._open_calls.close()
        self._journal.close()

    def _run(self) -> None:
        delay = 0.0
        while not self._closing.wait(max(_BATCH_SECONDS, delay)):
            delay = _RETRY_SECONDS if self._turn() else 0.0
        self._turn()

    def _turn(self) -> bool:
        """Write everything that waits; whether the database is away."""
        taken = list(islice(self._waiting, len(self._waiting)))
        try:
            if self._journal.rows:
                for batch in _batches(self._journal.entries()):
                    self._write(batch)
                self._journal.clear()
            for batch in _batches(taken):
                self._write(batch)
        except Exception as error:  # noqa: BLE001 - logged; without this thread no call would be recorded any more
            self._keep(taken, error)
        else:
            self._away = False
        for _ in taken:
            self._waiting.popleft()
        self._open_calls.forget([entry.call_id for entry in taken])
        return self._away

    def _write(self, entries: Sequence[LedgerEntry]) -> None:
        try:
            with driver_cursor(self._engine) as cursor:
                self._insert(cursor.execute, entries)
        except self._wrong_row as error:
            # One by one, so that one row keeps no other out.
            if len(entries) == 1:
                self._drop(entries, str(error))
            else:
                for entry in entries:
                    self._write([entry])
            return
        self._written += len(entries)

    def _keep(self, entries: Sequence[LedgerEntry], error: Exception) -> None:
        """Journal entries that could not be written; some may be in the database already, where they count once."""
        if not self._away:
            log.error("the ledger goes to the journal, for the database is away: %s", error)
        self._away = True
        if entries and not self._journal.append(entries):
            self._drop(entries, "the journal has no room")

    def _drop(self, entries: Sequence[LedgerEntry], reason: str) -> None:
        self._dropped += len(entries)
        for entry in entries:
            log.error("a row of the ledger is lost: %s", reason, extra={"fields": {"entry": entry.to_json()}})


def _batches(entries: Iterable[LedgerEntry]) -> Iterator[list[LedgerEntry]]:
    rest = iter(entries)
    while batch := list(islice(rest, _BATCH_ROWS)):
        yield batch
