"""A DNS server on the loopback that gives names the addresses that a test wants them to have."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address
from threading import Thread
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEADER: Final = struct.Struct(">HHHHHH")
_ANSWER: Final = 0x8400  # a response, authoritative
_A, _IN = 1, 1


class Names:
    """A context manager. Only questions for IPv4 addresses (A) have answers, with a time to live of 0."""

    def __init__(self) -> None:
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = Thread(target=self._serve)

    def __enter__(self) -> Self:
        """Answer from now on."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def set(self, name: str, addresses: Iterable[str]) -> None:
        """Give a name these addresses, and no others."""
        self._addresses[name] = tuple(addresses)

    def _serve(self) -> None:
        while True:
            query, sender = self._socket.recvfrom(512)
            if not query:
                return
            self._socket.sendto(self._answer(query), sender)

    def _answer(self, query: bytes) -> bytes:
        identity, flags, *_ = _HEADER.unpack_from(query)
        labels, at = [], _HEADER.size
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[_HEADER.size : at + 5]
        kind = int.from_bytes(query[at + 1 : at + 3], "big")
        found = self._addresses.get(".".join(labels).lower(), ()) if kind == _A else ()
        # 0xC00C: the name of the question.
        records = [struct.pack(">HHHIH4s", 0xC00C, _A, _IN, 0, 4, IPv4Address(address).packed) for address in found]
        head = _HEADER.pack(identity, _ANSWER | (flags & 0x0100), 1, len(records), 0, 0)
        return head + question + b"".join(records)
