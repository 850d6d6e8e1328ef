"""Ports of the loopback for the servers that tests start, below those that the system hands out to connections."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress

_FIRST, _END = 20_000, 30_000
_BLOCK = 100


class _Ports:
    """The ports of this process.

    They come from blocks whose first port it keeps: processes that run tests side by side never give out the same one.
    """

    def __init__(self) -> None:
        self._kept: list[socket.socket] = []
        self._next = self._end = 0

    def row(self, length: int) -> int:
        """The first of `length` consecutive free ports."""
        while True:
            if self._next + length > self._end:
                self._keep_block()
            first, self._next = self._next, self._next + length
            with ExitStack() as probes, suppress(OSError):
                for port in range(first, first + length):
                    probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
                return first

    def _keep_block(self) -> None:
        starts = range(_FIRST, _END, _BLOCK)
        for start in random.sample(starts, len(starts)):
            sentinel = socket.socket()
            try:
                sentinel.bind(("127.0.0.1", start))
            except OSError:
                sentinel.close()
                continue
            self._kept.append(sentinel)
            self._next, self._end = start + 1, start + _BLOCK
            return
        raise OSError("all ports for tests are taken")


_PORTS = _Ports()


def free_port() -> int:
    """A free port, which neither the system nor another test process gives out."""
    return free_row(1)


def free_row(length: int) -> int:
    """The first of so many such ports in a row."""
    return _PORTS.row(length)
