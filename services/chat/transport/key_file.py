"""A file of API keys, as SHA-256 hashes, that is read again when it changes."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from services.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

# A hash in hexadecimal, and after a blank anything: sha256sum prints the name of its input there.
_LINE = re.compile(r"([0-9a-f]{64})(\s.*)?", re.IGNORECASE)


class KeyFile:
    """The keys that were read last stay valid while the file is missing, empty or malformed.

    A file that is rewritten in place is empty for a moment; taken as it is, it would refuse every caller.
    """

    def __init__(self, path: Path, setting: str) -> None:
        """`setting` names the file, which may be empty. SettingsError if it cannot be read or a line is not a hash."""
        self._path = path
        self._setting = setting
        self._problem = ""
        try:
            self._version = self._stat()
            self._hashes = self._read()
        except OSError as error:
            raise SettingsError(f"{setting} names the file {path}, which cannot be read: {error}.") from error

    def hashes(self) -> Sequence[bytes]:
        """The hashes of the keys, read again if the file has changed."""
        try:
            version = self._stat()
            if version != self._version:
                self._version = version
                read = self._read()
                if self._hashes and not read:
                    raise SettingsError(f"{self._path} is empty.")
                self._hashes, self._problem = read, ""
                log.info("%d API keys were read from %s", len(read), self._path)
        except (OSError, SettingsError) as error:
            if str(error) != self._problem:
                self._problem = str(error)
                log.warning("the API keys that were read before stay valid: %s", error)
        return self._hashes

    def _stat(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_size

    def _read(self) -> Sequence[bytes]:
        try:
            text = self._path.read_text(encoding="utf-8-sig")  # editors of Windows begin a file with a BOM
        except UnicodeDecodeError as error:
            raise SettingsError(f"{self._setting}: {self._path} cannot be read: {error}.") from error
        lines = [line.strip() for line in text.splitlines()]
        entries = [_LINE.fullmatch(line) for line in lines if line and not line.startswith("#")]
        if None in entries:
            number = entries.index(None) + 1
            raise SettingsError(f"{self._setting}: entry {number} of {self._path} is no SHA-256 hash in hexadecimal.")
        return [bytes.fromhex(entry[1]) for entry in entries if entry]
