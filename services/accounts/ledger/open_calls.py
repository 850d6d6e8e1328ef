"""A local file with the calls that a server is running, and with the rows that the database does not have yet."""

from __future__ import annotations

import logging
import mmap
import os
import sys
from typing import TYPE_CHECKING, Final

import msgspec

from services.accounts.ledger.entry import LedgerEntry
from services.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

log = logging.getLogger(__name__)

SLOT_BYTES: Final = 1024
MOST_CALLS: Final = 65_536
"""Calls in the file; others are in the ledger as long as the server lives to write them."""
_END: Final = b"\n"
_FREE: Final = _END[0]  # the first byte of a slot without a row
_ROW: Final = b"["[0]  # the first byte of a row
_GROWTH: Final = 1024  # slots
_encode_into: Final = msgspec.json.Encoder().encode_into


class OpenCalls:
    """A slot of the file for each call, from its admission until its row is in the database or in the journal.

    What is written survives the process (kill -9), not the machine: nothing is flushed to the disk. The file is mapped
    into memory: a system call would hand the interpreter to another thread, twice in every call. All methods but
    `forget` are called in one thread.
    """

    def __init__(self, path: Path) -> None:
        """`path` must not be in use by another server; SettingsError if no file can be made there."""
        self._path = path
        try:
            self._fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
            self._slots: dict[str, int] = {}  # by the id of the call
            self._free: list[int] = []
            self._used = 0  # slots, free ones among them
            self._full = False
            # What a server that died has left: the rows of calls that had ended, and LOST ones for the others.
            self.left = self._read()
            self._line = bytearray()  # the row that is written: a new object for each takes longer than its encoding
            self._size = max(self._used, _GROWTH)  # slots of the file
            self._map = self._mapped()
        except OSError as error:
            raise SettingsError(f"CHASQUI_ACCOUNTS_JOURNAL: {path} cannot be written: {error}.") from error

    def write(self, entry: LedgerEntry) -> None:
        """Keep the row that the call has now, in place of an earlier one."""
        line = self._line
        _encode_into(entry, line)
        line += _END
        length = len(line)
        slot = self._slots.get(entry.call_id)
        if slot is None:
            if length > SLOT_BYTES:
                return
            slot = self._free.pop() if self._free else self._new_slot()
            if slot is None:
                return
            self._slots[entry.call_id] = slot
        # The first byte last: whenever the process is killed, a slot is free or whole, and never a mix of two rows.
        start = slot * SLOT_BYTES
        self._map[start] = line[0] = _FREE
        if length <= SLOT_BYTES:
            self._map[start : start + length] = line
            self._map[start] = _ROW

    def forget(self, call_ids: Iterable[str]) -> None:
        """Rows are in the database or in the journal, or there shall be none. May be called in another thread."""
        for call_id in call_ids:
            slot = self._slots.pop(call_id, None)
            if slot is not None:
                self._map[slot * SLOT_BYTES] = _FREE
                self._free.append(slot)

    def close(self) -> None:
        """Close the file, and remove it if there is nothing in it."""
        if not self._slots:
            self._path.unlink(missing_ok=True)
        self._map.close()
        os.close(self._fd)

    def _new_slot(self) -> int | None:
        """One that was never used; None if the file cannot grow."""
        if self._used == self._size and not self._grown():
            return None
        self._used += 1
        return self._used - 1

    def _grown(self) -> bool:
        """Whether the file has more slots now."""
        if self._full or self._size >= MOST_CALLS:
            return False
        self._size += _GROWTH
        try:
            self._map = self._mapped()  # the other thread may still write by way of the one before, into the same file
        except OSError as error:
            log.error(
                "more calls cannot be kept in %s, and have no row if this server is killed: %s", self._path, error
            )
            self._size -= _GROWTH
            self._full = True
            return False
        return True

    def _mapped(self) -> mmap.mmap:
        """The file of `_size` slots, its space allocated: a full disk is an error now, and not a SIGBUS later.

        Not so on a file system that writes every change elsewhere (btrfs, ZFS); docker/README.md says what helps.
        """
        size = self._size * SLOT_BYTES
        if sys.platform == "darwin":  # which cannot allocate
            os.ftruncate(self._fd, size)
        else:
            os.posix_fallocate(self._fd, 0, size)
        return mmap.mmap(self._fd, size)

    def _read(self) -> list[LedgerEntry]:
        left = []
        data = self._path.read_bytes()
        for start in range(0, len(data), SLOT_BYTES):
            line, _, _ = data[start : start + SLOT_BYTES].partition(_END)
            slot, self._used = self._used, self._used + 1
            if not line.strip(b"\0"):
                self._free.append(slot)
                continue
            try:
                entry = msgspec.json.decode(line, type=LedgerEntry)
            except msgspec.DecodeError:  # of a validation, too
                log.error("%s has a call that cannot be read: %.500r", self._path, line)
                self._free.append(slot)
                continue
            self._slots[entry.call_id] = slot
            left.append(entry)
        return left
