"""Batches: as their owners see and cancel them, and the states that a runner leads them through."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from sqlalchemy import func, insert, select, update

from services.accounts.sql.database import writing
from services.accounts.sql.tables import BATCH_LINES, BATCHES
from services.batches.file_store import behind
from services.batches.record import Batch, LineError, Status
from services.errors import InvalidValue, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Engine, RowMapping

WINDOW_SECONDS: Final = 24 * 3600
# A runner that leads a batch to its next state has this long; then another one may.
_LEASE: Final = timedelta(minutes=5)
_OPEN: Final = (Status.VALIDATING, Status.IN_PROGRESS, Status.FINALIZING, Status.CANCELLING)
_MOMENTS: Final = tuple(f"{status}_at" for status in Status if status is not Status.VALIDATING)


class BatchStore:
    """The batches of all keys. Everything waits for the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, account: str, endpoint: str, input_file: str, metadata: Mapping[str, str]) -> Batch:
        """A new batch, whose file is checked next."""
        now = datetime.now(UTC)
        batch_id = f"batch_{uuid4().hex}"
        values = {
            "id": batch_id,
            "account": account,
            "endpoint": endpoint,
            "input_file": input_file,
            "metadata": dict(metadata),
            "status": Status.VALIDATING.value,
            "created_at": now,
            "expires_at": now + timedelta(seconds=WINDOW_SECONDS),
            "errors": [],
            **dict.fromkeys(("total", "completed", "failed"), 0),
        }
        with writing(self._engine) as connection:
            connection.execute(insert(BATCHES).values(**values))
        return self.find(account, batch_id)

    def find(self, account: str, batch_id: str) -> Batch:
        """A batch of the account; NotFound if there is none."""
        own = (BATCHES.c.id == batch_id) & (BATCHES.c.account == account)
        with self._engine.connect() as connection:
            row = connection.execute(select(BATCHES).where(own)).mappings().one_or_none()
            if row is None:
                raise NotFound(f"There is no batch {batch_id!r}.", param="id")
            return _batch(connection, row)

    def page(self, account: str, *, after: str | None, limit: int) -> Sequence[Batch]:
        """Up to `limit` batches of the account, newest first, behind the one with the id `after`; NotFound as above."""
        wanted = select(BATCHES).where(BATCHES.c.account == account)
        if after is not None:
            last = self.find(account, after)
            wanted = wanted.where(behind(BATCHES, last.created_at, last.id, newest_first=True))
        wanted = wanted.order_by(BATCHES.c.created_at.desc(), BATCHES.c.id.desc()).limit(limit)
        with self._engine.connect() as connection:
            return [_batch(connection, row) for row in connection.execute(wanted).mappings().all()]

    def cancel(self, account: str, batch_id: str) -> Batch:
        """Begin to cancel a batch; NotFound if there is none, InvalidValue if it has ended."""
        running = BATCHES.c.status.in_((Status.VALIDATING.value, Status.IN_PROGRESS.value))
        with writing(self._engine) as connection:
            begun = connection.execute(
                update(BATCHES)
                .where(BATCHES.c.id == batch_id, BATCHES.c.account == account, running)
                .values(status=Status.CANCELLING.value, cancelling_at=datetime.now(UTC))
            )
        batch = self.find(account, batch_id)
        if not begun.rowcount and batch.status is not Status.CANCELLING:
            raise InvalidValue(f"The batch is {batch.status} and cannot be cancelled any more.", param="id")
        return batch

    def unfinished(self) -> Sequence[Batch]:
        """All batches that have not ended, oldest first."""
        wanted = select(BATCHES).where(BATCHES.c.status.in_([status.value for status in _OPEN]))
        with self._engine.connect() as connection:
            rows = connection.execute(wanted.order_by(BATCHES.c.created_at)).mappings().all()
            return [_batch(connection, row) for row in rows]

    def take(self, batch: Batch) -> bool:
        """Whether this runner is the one that leads the batch to its next state: no other has it, or has died."""
        now = datetime.now(UTC)
        free = BATCHES.c.lease_until.is_(None) | (BATCHES.c.lease_until < now)
        same = (BATCHES.c.id == batch.id) & (BATCHES.c.status == batch.status.value)
        with writing(self._engine) as connection:
            taken = connection.execute(update(BATCHES).where(same, free).values(lease_until=now + _LEASE))
        return bool(taken.rowcount)

    def fail(self, batch: Batch, errors: Sequence[LineError]) -> None:
        """End a batch whose file is wrong."""
        self.move(batch, Status.FAILED, errors=[asdict(error) for error in errors])

    def move(self, batch: Batch, status: Status, **values: Any) -> bool:
        """Lead a batch that is still in its state to another one; false if it was cancelled meanwhile."""
        with writing(self._engine) as connection:
            return move(connection, batch, status, **values)


def move(connection: Connection, batch: Batch, status: Status, **values: Any) -> bool:
    """As above, in a transaction."""
    moved = connection.execute(
        update(BATCHES)
        .where(BATCHES.c.id == batch.id, BATCHES.c.status == batch.status.value)
        .values(status=status.value, lease_until=None, **{f"{status}_at": datetime.now(UTC)}, **values)
    )
    return bool(moved.rowcount)


def _batch(connection: Connection, row: RowMapping) -> Batch:
    """The batch in a row; while its lines are there, they are counted."""
    completed, failed = row["completed"], row["failed"]
    if row["status"] in {status.value for status in _OPEN}:
        grouped = (
            select(BATCH_LINES.c.succeeded, func.count())
            .where(BATCH_LINES.c.batch == row["id"], BATCH_LINES.c.succeeded.is_not(None))
            .group_by(BATCH_LINES.c.succeeded)
        )
        counts: dict[bool, int] = {row[0]: row[1] for row in connection.execute(grouped)}
        completed, failed = counts.get(True, 0), counts.get(False, 0)
    return Batch(
        **{name: row[name] for name in ("id", "account", "endpoint", "input_file", "metadata", "errors", "total")},
        **{name: row[name] for name in ("created_at", "expires_at", "output_file", "error_file")},
        status=Status(row["status"]),
        moments={name: row[name] for name in _MOMENTS},
        completed=completed,
        failed=failed,
    )
