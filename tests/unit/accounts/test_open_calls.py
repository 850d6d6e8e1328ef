"""Calls that a server was running when it was killed: each has a row afterwards, by what is known of it."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from services.accounts.ledger import open_calls
from services.accounts.ledger.entry import LOST, LedgerEntry
from services.accounts.ledger.journal import Journal
from services.accounts.ledger.open_calls import OpenCalls
from services.accounts.sql.ledger import Ledger
from services.accounts.sql.tables import CALLS
from tests.support.ledger import an_entry

# Begins two calls, ends one of them, and is killed.
KILLED = """
import os, signal, sys
from pathlib import Path
from services.accounts.ledger.open_calls import OpenCalls
from tests.support.ledger import an_entry

calls = OpenCalls(Path(sys.argv[1]))
for name in ("ended", "running", "gone", "written"):
    calls.write(an_entry(name, outcome="lost", completion_tokens=0))
calls.write(an_entry("ended"))
calls.forget(["gone"])
calls.write(an_entry("written"))
calls.forget(["written"])
os.kill(os.getpid(), signal.SIGKILL)
"""


def lost(call_id: str, tokens: int = 0) -> LedgerEntry:
    return an_entry(call_id, outcome=LOST, completion_tokens=tokens)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls"


def test_what_a_killed_process_has_left_is_there_as_it_was_last(path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, path], check=False)  # noqa: S603 - ours
    left = OpenCalls(path)
    assert left.left == [an_entry("ended"), lost("running")]
    left.close()
    assert path.exists()  # they are in no database yet


def test_slots_are_used_again_and_an_empty_file_is_removed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_calls, "_GROWTH", 1)
    calls = OpenCalls(path)
    before = path.stat().st_size
    for number in range(1000):
        calls.write(lost(f"{number}"))
        calls.write(an_entry(f"{number}"))
        calls.forget([f"{number}"])
    assert path.stat().st_size == before
    calls.close()
    assert not path.exists()


def test_calls_beyond_the_bound_and_rows_that_fit_no_slot_are_not_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_calls, "MOST_CALLS", 2)
    monkeypatch.setattr(open_calls, "_GROWTH", 1)
    calls = OpenCalls(path)
    for entry in (an_entry("a"), an_entry("long", model="m" * 2000), an_entry("b")):
        calls.write(entry)
    calls.write(an_entry("c"))
    assert OpenCalls(path).left == [an_entry("a"), an_entry("b")]


def test_a_slot_that_cannot_be_read_harms_no_other(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    calls = OpenCalls(path)
    for name in ("a", "b", "c"):
        calls.write(an_entry(name))
    with path.open("r+b") as file:
        file.seek(open_calls.SLOT_BYTES)
        file.write(b'["b", "when?", 3')
    assert [entry.call_id for entry in OpenCalls(path).left] == ["a", "c"]
    assert "cannot be read" in caplog.text


def test_a_full_disk_is_logged_once_and_ends_no_call(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_calls, "_GROWTH", 2)
    calls = OpenCalls(path)
    size = path.stat().st_size
    # As a file that may not grow is refused, so is one on a full disk.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    for name in ("a", "b", "c", "d"):
        calls.write(an_entry(name))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caplog.text.count("cannot be kept") == 1
    calls.forget(["a"])
    calls.write(an_entry("e"))
    assert [entry.call_id for entry in OpenCalls(path).left] == ["e", "b"]


def test_the_next_server_writes_what_one_has_left_and_an_edge_s_report_of_more_counts(
    database: Engine, tmp_path: Path
) -> None:
    before = OpenCalls(tmp_path / "journal.0-calls")
    for entry in (an_entry("ended"), lost("streamed"), lost("unstreamed"), lost("refused")):
        before.write(entry)
    before.forget(["refused"])
    ledger = Ledger(database, Journal(tmp_path / "journal"))
    for late in (lost("streamed", 7), lost("streamed", 3), lost("ended", 9)):
        ledger.record(late)
    end = time.monotonic() + 60
    while ledger.state().waiting and time.monotonic() < end:
        time.sleep(0.02)
    with database.connect() as connection:
        rows = connection.execute(select(CALLS.c.call_id, CALLS.c.outcome, CALLS.c.completion_tokens)).all()
    assert sorted(map(tuple, rows)) == [("ended", "completed", 4), ("streamed", LOST, 7), ("unstreamed", LOST, 0)]
    ledger.close()
    assert list(tmp_path.glob("journal*")) == []
