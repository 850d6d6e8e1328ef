"""Output of a process that is copied: in whole lines, each block of which a pipe takes in one piece, and none lost."""

from __future__ import annotations

import asyncio
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.up import child_process
from services.up.child_process import ChildError, ChildProcess, Command
from services.up.whole_lines import copy_lines, write_to_standard_output

if TYPE_CHECKING:
    from collections.abc import Sequence


async def copied(pieces: Sequence[bytes]) -> list[bytes]:
    source = asyncio.StreamReader()
    writes: list[bytes] = []

    async def write(lines: bytes) -> None:
        writes.append(lines)

    copying = asyncio.create_task(copy_lines(source, write))
    for piece in pieces:
        source.feed_data(piece)
        await asyncio.sleep(0)
    source.feed_eof()
    await copying
    return writes


@given(
    st.lists(
        st.binary(min_size=1, max_size=30) | st.sampled_from([b"\n", b"\r\n", b"a\rb", b"a\nb", b"x" * 5000]),
        max_size=12,
    )
)
async def test_every_write_is_of_whole_lines_that_fit_a_pipe_and_all_arrives(pieces: list[bytes]) -> None:
    printed = b"".join(pieces)
    writes = await copied(pieces)
    assert b"".join(writes) == (printed if not printed or printed.endswith(b"\n") else printed + b"\n")
    for write in writes:
        assert write.endswith(b"\n")
        assert len(write) <= select.PIPE_BUF or write.count(b"\n") == 1


async def test_lines_that_come_together_are_written_together() -> None:
    assert await copied([b"one\ntwo\nthr", b"ee\n"]) == [b"one\ntwo\n", b"three\n"]


async def test_of_a_process_that_cuts_its_lines_all_is_printed_before_it_counts_as_ended(
    capfd: pytest.CaptureFixture[str],
) -> None:
    script = "import os; os.write(1, b'one, t'); os.write(1, b'wo\\nthree'); raise SystemExit(2)"
    command = Command((sys.executable, "-c", script), ("unix:/nowhere",), lambda: None, cuts_lines=True)
    with pytest.raises(ChildError):
        await ChildProcess("child", command, 5.0).keep_running()
    assert capfd.readouterr().out == "one, two\nthree\n"


async def test_output_that_nobody_reads_holds_up_neither_the_event_loop_nor_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(child_process, "_LAST_LINES_SECONDS", 0.2)
    unread, output = os.pipe()
    with open(unread, "rb", buffering=0) as reader, open(output, "w") as full:  # noqa: ASYNC230, PTH123 - pipes
        fill(full.fileno())
        monkeypatch.setattr(sys, "__stdout__", full)
        command = Command((sys.executable, "-c", "print(1); raise SystemExit(2)"), (), lambda: None, cuts_lines=True)
        with pytest.raises(ChildError):
            await ChildProcess("child", command, 5.0).keep_running()
        writing = asyncio.create_task(write_to_standard_output(b"x" * 9_999 + b"\n"))
        await asyncio.sleep(0.1)
        assert not writing.done()
        received = b""
        while not received.endswith(b"x\n"):
            received += reader.read(4096)
            await asyncio.sleep(0.01)
        await writing
    assert received.lstrip(b"-") == b"x" * 9_999 + b"\n"


def fill(pipe: int) -> None:
    os.set_blocking(pipe, False)
    with suppress(BlockingIOError):
        while True:
            os.write(pipe, b"-" * 4096)
    os.set_blocking(pipe, True)
