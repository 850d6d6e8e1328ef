"""Plain HTTP/1.1 for tests that need to see or send what client libraries hide."""

from __future__ import annotations

import json
import re
import socket
import ssl
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

_PATIENCE_SECONDS: Final = 180  # for the next bytes
_CONTENT: Final = re.compile(rb'"content":"[^"]')


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """What OpenAI's error envelope holds."""
        error: dict[str, Any] = self.json()["error"]
        return error


def get(url: str, **headers: str) -> Reply:
    """A GET request; `_` in header names stands for `-`."""
    return request("GET", url, headers={name.replace("_", "-"): value for name, value in headers.items()})


def post(url: str, body: object, **headers: str) -> Reply:
    """A POST request with a JSON body, or with bytes as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return request("POST", url, data, {"content-type": "application/json", **named})


def request(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Reply:
    """Any request; OSError if nobody answers."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        # Whose certificate it is, is for other clients to see.
        context = ssl._create_unverified_context()  # noqa: S323
        connection: HTTPConnection = HTTPSConnection(
            parts.hostname or "", parts.port, timeout=_PATIENCE_SECONDS, context=context
        )
    else:
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_PATIENCE_SECONDS)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, headers or {})
        with connection.getresponse() as answer:  # which keeps the socket open if the connection is to be closed
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def open_call(url: str, body: dict[str, object], headers: dict[str, str] | None = None) -> socket.socket:
    """A raw connection on which a POST has been sent; what is answered lies unread."""
    parts = urlsplit(url)
    data = json.dumps(body).encode()
    lines = [f"POST {parts.path} HTTP/1.1", f"host: {parts.netloc}", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    connection = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=_PATIENCE_SECONDS)
    try:
        connection.sendall("\r\n".join([*lines, f"content-length: {len(data)}", "", ""]).encode() + data)
    except OSError:
        connection.close()
        raise
    return connection


def open_stream(url: str, body: dict[str, object], headers: dict[str, str] | None = None) -> socket.socket:
    """The same, when the first bytes of a streamed delta have arrived."""
    connection = open_call(url, body, headers)
    received = b""
    while not _CONTENT.search(received):
        chunk = connection.recv(65536)
        if not chunk:
            connection.close()
            raise ConnectionError(received.decode(errors="replace"))
        received += chunk
    return connection


def read_until(connection: socket.socket, mark: str) -> str:
    """What arrives until `mark` has, or the connection ends."""
    received = b""
    while mark.encode() not in received and (chunk := connection.recv(65536)):
        received += chunk
    return received.decode(errors="replace")


def read_error(connection: socket.socket) -> str:
    """What arrives of a stream until its error event has arrived whole, or the connection ends."""
    received = read_until(connection, '"error"')
    return received if "\n\n" in received.partition('"error"')[2] else received + read_until(connection, "\n\n")
