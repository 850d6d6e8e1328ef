"""A real Valkey or Redis server on a free port of the loopback, from whatever this machine has."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from redis import Redis
from redis.exceptions import ConnectionError as StoreConnectionError

from tests.support.ports import free_port

if TYPE_CHECKING:
    from types import TracebackType

_START_SECONDS = 60


def program() -> str | None:
    """The server's command, None where there is none."""
    return shutil.which("valkey-server") or shutil.which("redis-server")


class ValkeyServer:
    """A context manager: an empty server that keeps nothing on disk. It can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        found = program()
        if found is None:
            raise FileNotFoundError("there is neither Valkey nor Redis on this machine")
        self._program = found
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"redis://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Stop."""
        self.kill()

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        words = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen([self._program, *words], stdout=subprocess.DEVNULL)  # noqa: S603 - Debian's
        end = time.monotonic() + _START_SECONDS
        with Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                    return
                except StoreConnectionError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.05)

    def kill(self) -> None:
        """Stop as a crash does: what was counted is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
