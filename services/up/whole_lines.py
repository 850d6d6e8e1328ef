"""The standard output of a process, copied in whole lines.

Envoy writes its access log in blocks of 4 KiB, which end anywhere in a line. Where all processes of the service write
to one file or pipe, a line of another would follow in the middle of Envoy's, and neither could be parsed.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

_READ_BYTES: Final = 65536
# How often it is tried whether a full pipe or a stopped terminal takes more.
_FULL_SECONDS = 0.05


async def copy_lines(source: asyncio.StreamReader, write: Callable[[bytes], Awaitable[None]]) -> None:
    """Copy until the end of `source`; every `write` gets whole lines, and a line without an end gets one."""
    rest = b""
    while read := await source.read(_READ_BYTES):
        lines, end, rest = (rest + read).rpartition(b"\n")
        if end:
            for block in _blocks(lines):
                await write(block)
    if rest:
        await write(rest + b"\n")


async def write_to_standard_output(lines: bytes) -> None:
    """Write all of it; what cannot be written, to a full disk or a closed pipe, is lost.

    The event loop goes on while nobody reads the output: it stops the service at a signal.
    """
    if sys.__stdout__ is None:  # it was closed when this process began
        return
    output = sys.__stdout__.fileno()
    with suppress(OSError):
        while lines:
            # A pipe counts as writable when it takes PIPE_BUF bytes at once.
            while not select.select((), (output,), (), 0)[1]:  # noqa: ASYNC110 - of its reader, which sends no notification
                await asyncio.sleep(_FULL_SECONDS)
            lines = lines[os.write(output, lines[: select.PIPE_BUF]) :]


def _blocks(lines: bytes) -> Iterator[bytes]:
    """Lines in blocks that a pipe takes in one piece (POSIX, `write`: up to PIPE_BUF); a longer line has its own."""
    block = b""
    for line in lines.split(b"\n"):
        if block and len(block) + len(line) >= select.PIPE_BUF:
            yield block
            block = b""
        block += line + b"\n"
    yield block
