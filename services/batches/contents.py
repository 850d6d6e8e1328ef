"""The contents of files, by name: in a directory, or where else the interface is implemented."""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final, Protocol
from uuid import uuid4

from services.errors import Unavailable
from services.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# Contents are written under another name first.
_UNFINISHED: Final = ".part"
_STRAY_SECONDS: Final = 3600
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Contents(Protocol):
    """Everything waits for the disk or the network; FileNotFoundError for a name that is not there."""

    def write(self, name: str, parts: Iterable[bytes]) -> int:
        """Write a content in place of one of the same name, whole or not at all; the number of bytes.

        Unavailable if there is no room.
        """

    def open(self, name: str) -> IO[bytes]:
        """A content, to be read from its beginning."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Some of a content."""

    def delete(self, name: str) -> None:
        """Remove a content, if it is there."""

    def sweep(self) -> int:
        """Remove what interrupted writes have left; how many."""


class DirectoryContents:
    """Contents in a directory, which may be one that several machines mount."""

    def __init__(self, directory: Path) -> None:
        """SettingsError if the directory cannot be made."""
        self._directory = directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"CHASQUI_FILES is {str(directory)!r}, which is no directory: {error}.") from error

    def write(self, name: str, parts: Iterable[bytes]) -> int:
        """As the interface says."""
        unfinished = self._directory / f"{name}-{uuid4().hex}{_UNFINISHED}"
        try:
            with unfinished.open("xb") as file:
                for part in parts:
                    file.write(part)
                size = file.tell()
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(self._directory / name)
        except OSError as error:
            if error.errno in _FULL:
                raise Unavailable(
                    "The server has no room for this file.", reason="STORAGE_FULL", retry_after=60.0
                ) from error
            raise
        finally:
            unfinished.unlink(missing_ok=True)
        return size

    def open(self, name: str) -> IO[bytes]:
        """As the interface says."""
        return (self._directory / name).open("rb")

    def read(self, name: str, offset: int, length: int) -> bytes:
        """As the interface says."""
        with self.open(name) as file:
            return os.pread(file.fileno(), length, offset)

    def delete(self, name: str) -> None:
        """As the interface says."""
        (self._directory / name).unlink(missing_ok=True)

    def sweep(self) -> int:
        """As the interface says."""
        removed = 0
        for stray in self._directory.glob(f"*{_UNFINISHED}"):
            with suppress(FileNotFoundError):
                if stray.stat().st_mtime < time.time() - _STRAY_SECONDS:
                    stray.unlink()
                    removed += 1
        return removed
