"""Processes that are kept running: when they are started again, when no more, and how they are stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from services.up import child_process
from services.up.child_process import ChildError, ChildProcess, Command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LISTEN = "import socket,sys,time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(60)"


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_FIRST_DELAY", "_LONGEST_DELAY", "_POLL_SECONDS", "_WATCH_SECONDS"):
        monkeypatch.setattr(child_process, name, 0.01)


class Starts:
    """Counts the starts of a process."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def child(script: str, address: str, prepare: Callable[[], None], **changes: object) -> ChildProcess:
    """A process that runs a script of Python, with its socket's path as argument."""
    arguments = (sys.executable, "-c", script, address.removeprefix("unix:"))
    command = Command(arguments, (address,), prepare)
    return ChildProcess("child", replace(command, **changes), 5.0)  # type: ignore[arg-type]


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/socket"


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that no event announces."""
    while not condition():  # noqa: ASYNC110 - of another process
        await asyncio.sleep(0.01)


async def test_it_is_started_again_whenever_it_ends(address: str) -> None:
    starts = Starts()
    process = child("", address, starts, environ={})
    running = asyncio.create_task(process.keep_running())
    await until(lambda: starts.count >= 3)
    await process.stop()
    await running


async def test_one_that_is_stopped_during_its_pause_is_not_started_again(
    address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(child_process, "_FIRST_DELAY", 3600.0)
    starts = Starts()
    process = child("", address, starts)
    running = asyncio.create_task(process.keep_running())
    await until(lambda: "starting it again" in caplog.text)
    await process.stop()
    await running
    assert starts.count == 1


async def test_one_that_says_that_it_cannot_run_is_not_started_again(address: str) -> None:
    with pytest.raises(ChildError) as raised:
        await child("raise SystemExit(2)", address, Starts()).keep_running()
    assert raised.value.status == 2


@pytest.mark.parametrize(
    ("script", "end"),
    [
        ("raise SystemExit(7)", "exit status 7"),
        ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
    ],
)
async def test_one_that_is_never_ready_is_given_up_after_five_starts(address: str, script: str, end: str) -> None:
    starts = Starts()
    with pytest.raises(ChildError, match=f"^child failed to start 5 times in a row, last with {end}.$") as raised:
        await child(script, address, starts).keep_running()
    assert (starts.count, raised.value.status) == (5, 1)


async def test_one_whose_start_cannot_be_prepared_is_given_up_with_the_reason(address: str) -> None:
    def prepare() -> None:
        raise PermissionError("the directory belongs to another user")

    with pytest.raises(ChildError, match="last with the directory belongs to another user"):
        await child("", address, prepare).keep_running()


async def test_one_that_was_ready_is_started_again_however_often_it_dies(address: str, tmp_path: Path) -> None:
    starts = Starts()

    def prepare() -> None:
        starts()
        (tmp_path / "socket").unlink(missing_ok=True)

    process = child(LISTEN, address, prepare)
    running = asyncio.create_task(process.keep_running())
    for count in range(1, 8):
        await until(lambda count=count: starts.count == count)  # type: ignore[misc]
        await process.accepting.wait()
        process.kill()
        await until(lambda: not process.accepting.is_set())
    await process.stop()
    await running


async def test_one_whose_socket_is_removed_is_started_again(
    address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    starts = Starts()
    process = child(LISTEN, address, starts)
    running = asyncio.create_task(process.keep_running())
    await process.accepting.wait()
    (tmp_path / "socket").unlink()
    await until(lambda: starts.count == 2)
    await process.accepting.wait()
    assert f"child cannot be reached at {address} any more and is restarted" in caplog.text
    await process.stop()
    await running


async def test_one_that_does_not_end_at_its_signal_is_killed(address: str) -> None:
    process = ChildProcess(
        "child",
        Command(
            (sys.executable, "-c", f"import signal; signal.signal(15, signal.SIG_IGN); {LISTEN}", address[5:]),
            (address,),
            Starts(),
        ),
        0.1,
    )
    running = asyncio.create_task(process.keep_running())
    await process.accepting.wait()
    await process.stop()
    await running


async def test_a_blocked_signal_does_not_reach_it_and_its_own_stop_signal_does(address: str, tmp_path: Path) -> None:
    starts = Starts()
    script = f"import os, pathlib; pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid())); {LISTEN}"
    process = child(script, address, starts, stop_signal=signal.SIGINT, blocked=frozenset({signal.SIGTERM}))
    running = asyncio.create_task(process.keep_running())
    await process.accepting.wait()
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
    await asyncio.sleep(0.3)
    assert (starts.count, process.accepting.is_set()) == (1, True)
    await process.stop()
    await running


async def test_a_signal_of_the_terminal_does_not_reach_it_and_it_shares_the_session(
    address: str, tmp_path: Path
) -> None:
    script = (
        f"import os, pathlib; pathlib.Path({str(tmp_path / 'ids')!r}).write_text(f'{{os.getpgrp()}} {{os.getsid(0)}}')"
    )
    process = child(f"{script}; {LISTEN}", address, Starts())
    running = asyncio.create_task(process.keep_running())
    await process.accepting.wait()
    group, session = map(int, (tmp_path / "ids").read_text().split())
    assert (group != os.getpgrp(), session) == (True, os.getsid(0))
    await process.stop()
    await running
