"""The thread that writes responses: all that wait at once, and nothing that nobody waits for any more."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from services.errors import Unavailable
from services.responses import write_queue
from services.responses.record import StoredResponse
from services.responses.write_queue import WriteQueue

LONG = 60.0


class Database:
    """Takes responses while its gate is open; `writes` are the ids of each transaction."""

    def __init__(self) -> None:
        self.writes: list[list[str]] = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()

    def write(self, responses: Sequence[StoredResponse]) -> None:
        self.entered.release()
        self.gate.wait(LONG)
        self.writes.append([response.id for response in responses])


def response(number: int) -> StoredResponse:
    return StoredResponse(f"{number}", "ana", datetime.now(UTC), "", "x" * 10)


def test_responses_that_gather_while_one_is_written_are_one_transaction_and_cancelled_ones_are_left_out() -> None:
    database = Database()
    queue = WriteQueue(database.write, lambda: False)
    first = queue.put(response(0))
    database.entered.acquire(timeout=LONG)
    others = [queue.put(response(number)) for number in range(1, 5)]
    assert others[1].cancel()
    assert not first.cancel()
    database.gate.set()
    queue.close()
    assert database.writes == [["0"], ["1", "3", "4"]]
    assert [each.result(0) for each in (first, others[0], *others[2:])] == [True] * 4


def test_a_database_that_stands_still_makes_others_wait_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_queue, "MAX_WAITING_CHARACTERS", 25)
    database = Database()
    queue = WriteQueue(database.write, lambda: False)
    queue.put(response(0))
    database.entered.acquire(timeout=LONG)
    waiting = [queue.put(response(number)) for number in range(3)]
    assert [each.done() for each in waiting] == [False, False, True]
    assert waiting[2].result(0) is False
    monkeypatch.setattr(write_queue, "MAX_WAITING_CHARACTERS", 15)
    with pytest.raises(Unavailable):
        queue.check()
    database.gate.set()
    queue.close()
    assert waiting[1].result(0)


def test_what_is_old_is_removed_at_once_as_long_as_there_is_more() -> None:
    left = iter([True, True, False])
    swept = threading.Semaphore(0)

    def sweep() -> bool:
        swept.release()
        return next(left)

    queue = WriteQueue(lambda _: None, sweep)
    for _ in range(3):
        queue._wake.set()
        assert swept.acquire(timeout=LONG)
    queue.close()
    assert list(left) == []
