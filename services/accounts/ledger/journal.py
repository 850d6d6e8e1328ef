"""A local file that takes the ledger's entries while the database is away, so that they survive this process."""

from __future__ import annotations

import fcntl
import logging
import os
from typing import TYPE_CHECKING, Final

from services.accounts.ledger.entry import LedgerEntry
from services.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

# Some 500,000 calls.
MAX_BYTES: Final = 256 * 1024 * 1024
_MOST_SERVERS: Final = 64  # with the same path on one machine


class Journal:
    """A file of entries, one a line. Not thread-safe.

    Each server locks a file of its own, `PATH.0` or the next, and takes over what a server that has died left.
    """

    def __init__(self, path: Path) -> None:
        """SettingsError if no file can be made there."""
        self._fd, self.path = _locked(path)
        self.rows = sum(1 for _ in self._lines())
        if self.rows:
            log.info("the ledger's journal %s has %d rows from before", self.path, self.rows)

    def append(self, entries: Sequence[LedgerEntry]) -> bool:
        """Add entries, durably; False if the file would grow beyond its bound or cannot be written."""
        data = "".join(entry.to_json() + "\n" for entry in entries).encode()
        size = os.fstat(self._fd).st_size
        if size + len(data) > MAX_BYTES:
            return False
        try:
            with os.fdopen(os.dup(self._fd), "ab") as file:
                file.write(data)
            os.fsync(self._fd)
        except OSError as error:
            os.ftruncate(self._fd, size)
            log.error("the ledger's journal cannot be written: %s", error)
            return False
        self.rows += len(entries)
        return True

    def entries(self) -> Iterator[LedgerEntry]:
        """What the file holds. A line that a crash has cut off is left out, and logged."""
        for line in self._lines():
            try:
                yield LedgerEntry.from_json(line)
            except ValueError:
                log.error("the ledger's journal %s has a line that is no entry: %.500s", self.path, line)

    def clear(self) -> None:
        """Forget everything, for it is in the database."""
        os.ftruncate(self._fd, 0)
        self.rows = 0

    def close(self) -> None:
        """Unlock the file, and remove it if it is empty."""
        if not os.fstat(self._fd).st_size:
            self.path.unlink(missing_ok=True)
        os.close(self._fd)

    def _lines(self) -> Iterator[str]:
        with self.path.open(encoding="utf-8", errors="replace") as file:
            yield from file


def _locked(path: Path) -> tuple[int, Path]:
    """The first file that no other server has locked, open; it may hold what a server that has died left."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for number in range(_MOST_SERVERS):
            one = path.with_name(f"{path.name}.{number}")
            fd = os.open(one, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                continue
            # Another server may have removed the file in between.
            if one.exists() and one.stat().st_ino == os.fstat(fd).st_ino:
                return fd, one
            os.close(fd)
    except OSError as error:
        raise SettingsError(f"CHASQUI_ACCOUNTS_JOURNAL: {path} cannot be written: {error}.") from error
    raise SettingsError(f"CHASQUI_ACCOUNTS_JOURNAL: {_MOST_SERVERS} servers use {path} already.")
