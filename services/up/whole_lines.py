"""The standard output of a process, copied in whole lines.

Envoy writes its access log in blocks of 4 KiB, which end anywhere in a line. Where all processes of the service write
to one file or pipe, a line of another would follow in the middle of Envoy's, and neither could be parsed.
"""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

_READ_BYTES: Final = 65536


async def copy_lines(source: asyncio.StreamReader, write: Callable[[bytes], object]) -> None:
    """Copy until the end of `source`; every `write` gets whole lines, and a line without an end gets one."""
    rest = b""
    while read := await source.read(_READ_BYTES):
        lines, end, rest = (rest + read).rpartition(b"\n")
        if end:
            for block in _blocks(lines):
                write(block)
    if rest:
        write(rest + b"\n")


def write_to_standard_output(lines: bytes) -> None:
    """Write all of it; what cannot be written, to a full disk or a closed pipe, is lost."""
    if sys.__stdout__ is None:  # it was closed when this process began
        return
    with suppress(OSError):
        while lines:
            lines = lines[os.write(sys.__stdout__.fileno(), lines) :]


def _blocks(lines: bytes) -> Iterator[bytes]:
    """Lines in blocks that a pipe takes in one piece (POSIX, `write`: up to PIPE_BUF); a longer line has its own."""
    block = b""
    for line in lines.split(b"\n"):
        if block and len(block) + len(line) >= select.PIPE_BUF:
            yield block
            block = b""
        block += line + b"\n"
    yield block
