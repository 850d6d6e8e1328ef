"""Asks a server of `grpc.health.v1` whether it serves, without importing gRPC: a probe runs every few seconds for ever.

Importing gRPC would take most of a probe's CPU time. The one request is written out here as HTTP/2 (RFC 9113, its
header fields as RFC 7541 encodes them).
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7  # types of frames
_END_STREAM, _END_HEADERS = 0x1, 0x4
_STREAM: Final = 1
# Before a message: whether it is compressed, and its length.
_PREFIX: Final = struct.Struct(">?I")
_SERVING: Final = b"\x08\x01"  # HealthCheckResponse { status: SERVING }


def serves(address: str, seconds: float) -> bool:
    """Whether the server at `unix:PATH` or `HOST:PORT` answers SERVING; OSError if it gives no such answer in time."""
    with _connect(address, seconds) as connection:
        connection.sendall(_PREFACE + _frame(_SETTINGS, 0, 0) + _request())
        message = b""
        with connection.makefile("rb") as answer:
            while not message:
                kind, flags, stream, payload = _read_frame(answer.read)
                if kind == _DATA and stream == _STREAM:
                    message = payload
                elif kind in (_RESET, _GOAWAY) or (kind == _HEADERS and flags & _END_STREAM):
                    raise OSError("it does not answer health checks")
    return message[_PREFIX.size :] == _SERVING


def _connect(address: str, seconds: float) -> socket.socket:
    path = address.removeprefix("unix:")
    if path == address:
        host, _, port = address.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), seconds)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(seconds)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def _request() -> bytes:
    """`Check` for the server as a whole: its headers, and an empty HealthCheckRequest."""
    headers = (
        b"\x83\x86"  # :method POST, :scheme http: whole entries of HPACK's static table
        + _field(b"\x04", b"/grpc.health.v1.Health/Check")  # :path
        + _field(b"\x01", b"localhost")  # :authority
        + _field(b"\x0f\x10", b"application/grpc")  # content-type
        + _field(b"\x00\x02te", b"trailers")
    )
    message = _PREFIX.pack(False, 0)
    return _frame(_HEADERS, _END_HEADERS, _STREAM, headers) + _frame(_DATA, _END_STREAM, _STREAM, message)


def _field(name: bytes, value: bytes) -> bytes:
    """A header field that is not indexed; `name` is the number of one in the static table, or written out."""
    return name + bytes([len(value)]) + value


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _read_frame(read: Callable[[int], bytes]) -> tuple[int, int, int, bytes]:
    """Type, flags, stream and payload of the next frame; OSError if there is none."""
    head = read(9)
    if len(head) < 9:
        raise OSError("the connection ended")
    length = int.from_bytes(head[:3], "big")
    return head[3], head[4], int.from_bytes(head[5:9], "big"), read(length)
