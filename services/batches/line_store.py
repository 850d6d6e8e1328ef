"""The lines of batches: runners claim them for a while, and write the result of each once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from sqlalchemy import delete, func, insert, select, update

from services.accounts.sql.database import writing
from services.accounts.sql.entry_insert import EntryInsert
from services.accounts.sql.tables import BATCH_LINES, BATCHES, KEYS
from services.batches.batch_store import move
from services.batches.record import Batch, ClaimedLine, Line, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Delete, Engine

    from services.accounts.ledger.entry import LedgerEntry

# A line whose runner has died is claimed again after this time; runners renew their leases several times within it.
LEASE: Final = timedelta(seconds=30)
_ROWS: Final = 1000
_OPEN: Final = BATCH_LINES.c.succeeded.is_(None)


class LineStore:
    """The lines of all batches that have not ended. Everything waits for the database."""

    def __init__(self, engine: Engine, lease: timedelta = LEASE) -> None:
        self._engine = engine
        self._lease = lease
        self._insert_call = EntryInsert(engine.dialect)

    def begin(self, batch: Batch, lines: Sequence[Line]) -> None:
        """Put the lines of a validated batch into the queue; nothing happens if it was cancelled meanwhile."""
        rows = [{name: getattr(line, name) for name in Line.__dataclass_fields__} for line in lines]
        with writing(self._engine) as connection:
            if not move(connection, batch, Status.IN_PROGRESS, total=len(lines)):
                return
            for start in range(0, len(rows), _ROWS):
                connection.execute(insert(BATCH_LINES), rows[start : start + _ROWS])

    def claim(self, worker: str, limit: int) -> Sequence[ClaimedLine]:
        """Up to `limit` lines that no living runner has; batches take turns, line by line."""
        now = datetime.now(UTC)
        free = BATCH_LINES.c.lease_until.is_(None) | (BATCH_LINES.c.lease_until < now)
        running = BATCHES.c.status == Status.IN_PROGRESS.value
        wanted = (
            select(BATCH_LINES, BATCHES.c.account, BATCHES.c.endpoint, BATCHES.c.input_file)
            .join(BATCHES, BATCHES.c.id == BATCH_LINES.c.batch)
            .where(running, _OPEN, free)
            .order_by(BATCH_LINES.c.number)
            .limit(limit)
            .with_for_update(of=BATCH_LINES, skip_locked=True)
        )
        with writing(self._engine) as connection:
            rows = connection.execute(wanted).mappings().all()
            for row in rows:
                same = (BATCH_LINES.c.batch == row["batch"]) & (BATCH_LINES.c.number == row["number"])
                taken = {"worker": worker, "lease_until": now + self._lease, "attempts": row["attempts"] + 1}
                connection.execute(update(BATCH_LINES).where(same).values(**taken))
        names = Line.__dataclass_fields__
        return [
            ClaimedLine(
                Line(**{name: row[name] for name in names if name != "attempts"}, attempts=row["attempts"] + 1),
                row["account"],
                row["endpoint"],
                row["input_file"],
            )
            for row in rows
        ]

    def renew(self, worker: str) -> None:
        """Keep the lines that a runner has."""
        own = (BATCH_LINES.c.worker == worker) & _OPEN
        with writing(self._engine) as connection:
            connection.execute(update(BATCH_LINES).where(own).values(lease_until=datetime.now(UTC) + self._lease))

    def release(self, worker: str) -> None:
        """Give back the lines that a runner has and will not finish."""
        own = (BATCH_LINES.c.worker == worker) & _OPEN
        with writing(self._engine) as connection:
            connection.execute(update(BATCH_LINES).where(own).values(lease_until=None, worker=None))

    def finish(self, line: Line, result: str, *, succeeded: bool, calls: Sequence[LedgerEntry] = ()) -> bool:
        """Write the result of a line; false, and nothing is written, if it has one already.

        `calls` are its calls, as LOST: they stay in the ledger if the server dies before it has written its own rows.
        """
        same = (BATCH_LINES.c.batch == line.batch) & (BATCH_LINES.c.number == line.number)
        with writing(self._engine) as connection:
            written = connection.execute(
                update(BATCH_LINES).where(same, _OPEN).values(succeeded=succeeded, result=result, worker=None)
            )
            if written.rowcount and calls:
                self._insert_call(
                    connection.exec_driver_sql, [replace(call, owner=_owner(connection, call)) for call in calls]
                )
        return bool(written.rowcount)

    def open_lines(self, batch: Batch) -> int:
        """Lines without a result."""
        with self._engine.connect() as connection:
            count = select(func.count()).where(BATCH_LINES.c.batch == batch.id, _OPEN)
            return int(connection.execute(count).scalar_one())

    def unanswered(self, batch: Batch) -> Sequence[Line]:
        """The lines without a result."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(BATCH_LINES).where(BATCH_LINES.c.batch == batch.id, _OPEN)).mappings()
            return [Line(**{name: row[name] for name in Line.__dataclass_fields__}) for row in rows]

    def results(self, batch: Batch, *, succeeded: bool) -> Iterator[str]:
        """The results of the lines that have succeeded, or of the others, in the order of the file."""
        wanted = (
            select(BATCH_LINES.c.number, BATCH_LINES.c.result)
            .where(BATCH_LINES.c.batch == batch.id, BATCH_LINES.c.succeeded.is_(succeeded))
            .order_by(BATCH_LINES.c.number)
            .limit(_ROWS)
        )
        last = 0
        while True:
            with self._engine.connect() as connection:
                rows = connection.execute(wanted.where(BATCH_LINES.c.number > last)).all()
            if not rows:
                return
            for number, result in rows:
                last = number
                yield result

    def counts(self) -> tuple[int, int]:
        """Lines without a result, and those of them that a runner has."""
        with self._engine.connect() as connection:
            waiting = connection.execute(select(func.count()).where(_OPEN)).scalar_one()
            held = _OPEN & (BATCH_LINES.c.lease_until >= datetime.now(UTC))
            return int(waiting), int(connection.execute(select(func.count()).where(held)).scalar_one())


def _owner(connection: Connection, call: LedgerEntry) -> str:
    """The owner that the key of a call has now."""
    owner = connection.execute(select(KEYS.c.owner).where(KEYS.c.name == call.key)).scalar_one_or_none()
    return owner or ""


def delete_lines(batch: Batch) -> Delete:
    """The statement that removes the lines of a batch that has ended."""
    return delete(BATCH_LINES).where(BATCH_LINES.c.batch == batch.id)
