"""A real PostgreSQL server on a free port of the loopback, from whatever release this machine has."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg

from tests.support.ports import free_port

if TYPE_CHECKING:
    from types import TracebackType

_START_SECONDS = 60


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`, None where there are none; Debian has them outside the path."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return debian[-1].parent if debian else None


class PostgreSQL:
    """A context manager: a server with empty data in `folder`. It can be killed, and started again with its data."""

    def __init__(self, folder: Path) -> None:
        bin_folder = programs()
        if bin_folder is None:
            raise FileNotFoundError("there is no PostgreSQL server on this machine")
        self._bin = bin_folder
        self._data = folder / "data"
        self._port = free_port()
        # It refuses to run as root, for whom Debian's package makes a user.
        self._user = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return self.database("postgres")

    def database(self, name: str) -> str:
        """The URL of one of its databases."""
        return f"postgresql://chasqui@127.0.0.1:{self._port}/{name}"

    def create(self, name: str) -> str:
        """Make an empty database and return its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.database(name)

    def __enter__(self) -> Self:
        """Make the data, and start."""
        self._data.parent.mkdir(parents=True, exist_ok=True)
        os.chown(self._data.parent, self._user.pw_uid, self._user.pw_gid)
        self._run(
            "initdb", "--username=chasqui", "--auth=trust", "--no-sync", "--encoding=UTF8", f"--pgdata={self._data}"
        )
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Stop."""
        self.kill()

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        end = time.monotonic() + _START_SECONDS
        while True:
            # It gives up where what is left of the one before still holds memory or the port.
            if self._process is None or self._process.poll() is not None:
                self._process = self._launched()
            try:
                psycopg.connect(self.url, connect_timeout=1).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def _launched(self) -> subprocess.Popen[bytes]:
        words = ["-D", str(self._data), "-p", str(self._port), "-h", "127.0.0.1", "-k", str(self._data), "-F"]
        # Not with `user` of Popen: that forks where it otherwise need not, which gRPC's threads do not survive.
        user = [f"--reuid={self._user.pw_uid}", f"--regid={self._user.pw_gid}", "--clear-groups"]
        changed = ["setpriv", *user] if os.geteuid() == 0 else []
        command = [*changed, str(self._bin / "postgres"), *words]
        return subprocess.Popen(command, cwd="/", stderr=subprocess.DEVNULL)  # noqa: S603 - Debian's

    def kill(self) -> None:
        """Stop as a crash does; what was committed is there after the next start."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(  # noqa: S603 - Debian's
            [self._bin / program, *words],
            user=self._user.pw_uid,
            group=self._user.pw_gid,
            cwd="/",
            check=True,
            stdout=subprocess.DEVNULL,
        )
