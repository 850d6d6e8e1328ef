"""The directory of the replica's private sockets, which only this user can enter."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from services.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PREFIX: Final = "chasqui-"
# A socket's path has at most 103 bytes (macOS; Linux 107); the directory and its longest socket take this many.
_LONGEST_PARENT: Final = 103 - len("/chasqui-12345678/envoy-admin.sock")


class PrivateDirectory:
    """Made when the service starts, made anew when somebody has removed it, and removed at the end."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """SettingsError if there is no place for it."""
        for parent in _parents(environ):
            if _is_usable(parent):
                self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
                return
        raise SettingsError(
            "There is no directory for private sockets: set TMPDIR to one that is writable and has a short path."
        )

    def prepare(self) -> None:
        """Make sure that the directory exists and that only this user can enter it; OSError otherwise.

        Directories for temporary files are cleaned: by systemd-tmpfiles after ten days, at a logout, by hand.
        """
        self.path.mkdir(mode=0o700, exist_ok=True)
        found = self.path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(f"{self.path} belongs to another user")
        self.path.chmod(0o700)  # whatever the umask

    def remove(self) -> None:
        """Remove it and everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def _is_usable(parent: Path) -> bool:
    # gRPC reads a % in a path as the beginning of an escape.
    is_short = len(os.fsencode(parent)) <= _LONGEST_PARENT and "%" not in str(parent)
    return is_short and parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)


def _parents(environ: Mapping[str, str]) -> Iterator[Path]:
    """Where it may lie, best first: runtime directories of the service or session, TMPDIR, then the machine's."""
    runtime = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]  # of systemd's RuntimeDirectory=
    session = Path(environ.get("XDG_RUNTIME_DIR") or os.devnull)
    if runtime:
        yield Path(runtime)
    if session.is_dir() and session.stat().st_uid == os.geteuid():
        yield session
    if environ.get("TMPDIR"):
        yield Path(environ["TMPDIR"])
    if sys.platform == "linux":
        yield Path("/run")
    yield from (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - mkdtemp makes a directory of our own
