"""Has what running servers keep in memory read again within a second after it changes."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, update

from services.accounts.sql.tables import REVISION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine
    from sqlalchemy.pool import PoolProxiedConnection

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.5
_STATEMENT: Final = str(select(REVISION.c.number))


def raise_revision(connection: Connection) -> None:
    """Note a change, in its transaction."""
    connection.execute(update(REVISION).values(number=REVISION.c.number + 1))


class Changes:
    """Watches the revision. While the database is away, everything stays as it was read last."""

    def __init__(self, engine: Engine, readers: Sequence[Callable[[], None]]) -> None:
        """Calls the readers now and after every change; raises what the driver does if the database cannot be read."""
        self._engine = engine
        self._connection: PoolProxiedConnection | None = None
        self._readers = readers
        self._stopped = threading.Event()
        self._away = False
        self._revision = -1
        self._read()
        self._thread = threading.Thread(target=self._watch, name="changes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Read no more changes."""
        self._stopped.set()
        self._thread.join()
        if self._connection is not None:
            self._connection.close()

    def _watch(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            try:
                self._read()
                self._away = False
            except Exception as error:  # noqa: BLE001 - logged; without this thread nothing would ever change again
                if not self._away:
                    log.warning("the accounts' database is away; keys and prices stay as they are: %s", error)
                self._away = True

    def _read(self) -> None:
        # The revision first: a change in between is read again.
        revision = self._current()
        if revision != self._revision:
            for read in self._readers:
                read()
            self._revision = revision

    def _current(self) -> int:
        """The revision, by a driver connection that is kept: SQLAlchemy's statement takes three times as long."""
        connection, self._connection = self._connection or self._engine.raw_connection(), None
        driver: Any = connection.driver_connection
        try:
            (revision,) = driver.execute(_STATEMENT).fetchone()
            driver.rollback()  # so that the next statement sees what is new
        except BaseException:
            connection.invalidate()
            raise
        self._connection = connection
        return int(revision)
