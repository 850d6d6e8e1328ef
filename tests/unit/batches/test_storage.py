"""Files, batches and lines in the database and on disk, also when a runner dies or the disk is full."""

from __future__ import annotations

import asyncio
import errno
import io
import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update

from edge.batches.runner import BatchRunner
from edge.batches.stages import lead
from services.accounts.sql.database import writing
from services.accounts.sql.tables import BATCHES, FILES
from services.batches.line_store import LineStore
from services.batches.record import Batch, Line, Status
from services.batches.storage import BatchStorage
from services.batches.watch import BatchWatch
from services.errors import InvalidValue, NotFound, Unavailable
from services.settings import Settings

CHAT = "/v1/chat/completions"


def requests(count: int) -> bytes:
    """An input file."""
    lines = [{"custom_id": f"{n}", "method": "POST", "url": CHAT, "body": {"model": "m"}} for n in range(count)]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def started(storage: BatchStorage, count: int) -> Batch:
    """A batch that is in progress."""
    file = storage.files.create("ana", "batch", "in.jsonl", io.BytesIO(requests(count)))
    batch = storage.batches.create("ana", CHAT, file.id, {})
    lead(storage, batch)
    return storage.batches.find("ana", batch.id)


def lead_on(storage: BatchStorage, batch: Batch) -> Batch:
    """The batch after the next step of a runner."""
    lead(storage, storage.batches.find("ana", batch.id))
    return storage.batches.find("ana", batch.id)


def texts(storage: BatchStorage, file_id: str | None) -> list[str]:
    assert file_id is not None
    with storage.files.open(file_id) as file:
        return file.read().decode().splitlines()


def test_the_lines_of_a_batch_are_claimed_in_turn_with_those_of_others(storage: BatchStorage) -> None:
    batches = [started(storage, 3), started(storage, 3)]
    claimed = storage.lines.claim("runner", 4)
    assert sorted(each.line.number for each in claimed) == [1, 1, 2, 2]
    assert {each.line.batch for each in claimed[:2]} == {batch.id for batch in batches}
    first = claimed[0]
    data = storage.files.contents.read(first.input_file, first.line.offset, first.line.length)
    assert json.loads(data)["custom_id"] == first.line.custom_id


def test_a_line_is_claimed_by_one_runner_until_its_lease_ends_and_has_one_result(tmp_path: Path, storage: Any) -> None:
    started(storage, 1)
    impatient = LineStore(storage.lines._engine, lease=timedelta(0))
    [dead] = impatient.claim("dead", 9)
    [line] = storage.lines.claim("alive", 9)
    assert (line.line.number, dead.line.attempts, line.line.attempts) == (1, 1, 2)
    assert storage.lines.claim("third", 9) == []
    assert storage.lines.finish(line.line, "first", succeeded=True)
    assert not storage.lines.finish(dead.line, "second", succeeded=True)


def test_a_renewed_lease_goes_on_and_a_released_line_is_free(storage: BatchStorage) -> None:
    started(storage, 2)
    storage.lines.claim("one", 9)
    storage.lines.renew("one")
    assert storage.lines.claim("two", 9) == []
    storage.lines.release("one")
    assert len(storage.lines.claim("two", 9)) == 2


def test_a_batch_ends_when_every_line_has_its_result_and_both_files_are_in_the_order_of_its_lines(
    storage: BatchStorage,
) -> None:
    batch = started(storage, 4)
    for claimed in reversed(storage.lines.claim("runner", 9)):
        number = claimed.line.number
        storage.lines.finish(claimed.line, f'{{"n":{number}}}', succeeded=number != 2)
    assert lead_on(storage, batch).status is Status.FINALIZING
    ended = lead_on(storage, batch)
    assert (ended.status, ended.total, ended.completed, ended.failed) == (Status.COMPLETED, 4, 3, 1)
    assert texts(storage, ended.output_file) == ['{"n":1}', '{"n":3}', '{"n":4}']
    assert texts(storage, ended.error_file) == ['{"n":2}']
    assert storage.files.find("ana", str(ended.output_file)).purpose == "batch_output"


def test_a_batch_whose_runner_died_while_it_wrote_the_files_is_ended_by_another(
    storage: BatchStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = started(storage, 1)
    [claimed] = storage.lines.claim("runner", 9)
    storage.lines.finish(claimed.line, "{}", succeeded=True)
    finalizing = lead_on(storage, batch)
    assert storage.batches.take(finalizing)  # and dies
    assert lead_on(storage, batch).status is Status.FINALIZING
    with writing(storage._engine) as connection:
        connection.execute(update(BATCHES).values(lease_until=datetime.now(UTC) - timedelta(seconds=1)))
    assert lead_on(storage, batch).status is Status.COMPLETED


def test_a_batch_whose_time_ends_has_an_error_for_every_line_that_was_not_run(storage: BatchStorage) -> None:
    batch = started(storage, 2)
    [claimed] = storage.lines.claim("runner", 1)
    storage.lines.finish(claimed.line, "{}", succeeded=True)
    with writing(storage._engine) as connection:
        connection.execute(update(BATCHES).values(expires_at=datetime.now(UTC)))
    lead_on(storage, batch)
    ended = lead_on(storage, batch)
    assert (ended.status, ended.completed, ended.failed) == (Status.EXPIRED, 1, 1)
    assert json.loads(texts(storage, ended.error_file)[0])["error"]["code"] == "batch_expired"
    assert ended.moments["expired_at"] is not None


def test_a_batch_that_is_cancelled_while_its_file_is_checked_never_runs(storage: BatchStorage) -> None:
    file = storage.files.create("ana", "batch", "in.jsonl", io.BytesIO(requests(2)))
    seen = storage.batches.create("ana", CHAT, file.id, {})
    storage.batches.cancel("ana", seen.id)
    storage.lines.begin(seen, [Line(seen.id, 1, "0", 0, 9)])
    assert storage.lines.claim("runner", 9) == []
    assert lead_on(storage, seen).status is Status.CANCELLED


def test_a_full_disk_refuses_the_file_and_leaves_nothing(storage: BatchStorage, tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(Unavailable) as caught:
        storage.files.create("ana", "batch", "in.jsonl", Full())
    assert caught.value.reason == "STORAGE_FULL"
    assert list((tmp_path / "files").iterdir()) == []
    assert storage.files.page("ana", purpose=None, after=None, limit=9, newest_first=True) == []


def test_a_database_that_does_not_answer_is_unavailable_and_not_a_fault_of_ours(tmp_path: Path) -> None:
    place = tmp_path / "accounts.db"
    storage = BatchStorage(Settings(accounts=str(place)))
    storage.close()
    place.unlink()
    place.mkdir()
    for ask in (lambda: storage.files.find("ana", "file-1"), lambda: storage.batches.cancel("ana", "batch_1")):
        with pytest.raises(Unavailable, match="does not answer"):
            ask()


def test_a_watch_counts_what_is_open_and_how_long_nothing_has_moved(
    storage: BatchStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("services.batches.watch.time", SimpleNamespace(monotonic=lambda: now))
    watch = BatchWatch(storage.batches)
    watch.look(storage.batches.unfinished())
    assert (watch.unfinished, watch.open_lines, watch.oldest, watch.idle) == (0, 0, 0.0, 0.0)
    batch = started(storage, 3)
    watch.look(storage.batches.unfinished())
    assert (watch.unfinished, watch.open_lines) == (1, 3)
    now += 5.0
    watch.look(storage.batches.unfinished())
    assert watch.idle == 5.0
    [claimed] = storage.lines.claim("runner", 1)
    storage.lines.finish(claimed.line, "{}", succeeded=True)
    watch.look(storage.batches.unfinished())
    assert (watch.open_lines, watch.idle) == (2, 0.0)
    with writing(storage._engine) as connection:
        connection.execute(update(BATCHES).values(created_at=datetime.now(UTC) - timedelta(hours=21)))
    watch.look([storage.batches.find("ana", batch.id)])
    assert watch.oldest == pytest.approx(21 * 3600, abs=60)


async def test_a_watch_goes_on_after_an_error_that_nobody_expected(
    storage: BatchStorage, caplog: pytest.LogCaptureFixture
) -> None:
    started(storage, 3)
    looks, looked, loop = itertools.count(), asyncio.Event(), asyncio.get_running_loop()

    class Failing:
        def unfinished(self) -> Sequence[Batch]:
            look = next(looks)
            if look < 2:
                raise ValueError("a fault")
            if look > 2:
                loop.call_soon_threadsafe(looked.set)
            return storage.batches.unfinished()

    watch = BatchWatch(Failing(), pause=0.0)  # type: ignore[arg-type] # of which it needs no more
    running = asyncio.create_task(watch.run())
    await looked.wait()
    running.cancel()
    assert watch.open_lines == 3
    own = [record.getMessage() for record in caplog.records if record.name == "services.batches.watch"]
    assert own == ["the batches cannot be counted"]


async def test_a_batch_that_cannot_be_led_on_is_logged_once_and_keeps_no_other_from_going_on(
    storage: BatchStorage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class NoServer:
        connected = False

    file = storage.files.create("ana", "batch", "in.jsonl", io.BytesIO(requests(1)))
    batches = [storage.batches.create("ana", CHAT, file.id, {}) for _ in range(2)]

    def broken(storage: BatchStorage, batch: Batch) -> None:
        if batch.id == batches[0].id:
            raise ValueError("a fault")
        lead(storage, batch)

    monkeypatch.setattr("edge.batches.runner.lead", broken)
    runner = BatchRunner(storage, NoServer(), 1, timedelta(days=1))  # type: ignore[arg-type] # it makes no call
    for _ in range(3):
        await runner._turn()
    assert [storage.batches.find("ana", batch.id).status for batch in batches] == [
        Status.VALIDATING,
        Status.IN_PROGRESS,
    ]
    own = [record.getMessage() for record in caplog.records if record.name == "edge.batches.runner"]
    assert own == ["a batch cannot be led on"]


def test_old_files_are_removed_unless_a_batch_reads_them_and_so_is_what_an_interrupted_write_left(
    storage: BatchStorage, tmp_path: Path
) -> None:
    batch = started(storage, 1)
    old = storage.files.create("ana", "batch", "old.jsonl", io.BytesIO(b"x"))
    with writing(storage._engine) as connection:
        connection.execute(update(FILES).values(created_at=datetime.now(UTC) - timedelta(days=31)))
    new = storage.files.create("ana", "batch", "new.jsonl", io.BytesIO(b"x"))
    assert storage.files.sweep(timedelta(days=30)) == 1
    with pytest.raises(NotFound):
        storage.files.find("ana", old.id)
    kept = {file.name for file in (tmp_path / "files").iterdir()}
    assert kept == {batch.input_file, new.id}


def test_a_file_that_a_batch_reads_cannot_be_deleted(storage: BatchStorage) -> None:
    batch = started(storage, 1)
    with pytest.raises(InvalidValue, match="cancel it first"):
        storage.files.delete("ana", batch.input_file)
