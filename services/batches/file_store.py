"""Files: a row in the database, and a content."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import IO, TYPE_CHECKING, Final
from uuid import uuid4

from sqlalchemy import delete, insert, select

from services.accounts.sql.database import writing
from services.accounts.sql.tables import BATCHES, FILES
from services.batches.record import StoredFile
from services.errors import InvalidValue, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Engine, Table

    from services.batches.contents import Contents

_OPEN: Final = ("validating", "in_progress", "finalizing", "cancelling")


class FileStore:
    """The files of all keys. Everything waits for the database or the disk."""

    def __init__(self, engine: Engine, contents: Contents) -> None:
        self.contents = contents
        self._engine = engine

    def open(self, file_id: str) -> IO[bytes]:
        """The content of a file, to be read; NotFound if there is none. The id must be one of ours."""
        try:
            return self.contents.open(file_id)
        except FileNotFoundError:
            raise NotFound(f"There is no file {file_id!r}.", param="id") from None

    def create(self, account: str, purpose: str, filename: str, source: IO[bytes]) -> StoredFile:
        """Store a copy of what `source` has from its position on; Unavailable, with nothing stored, without room."""
        file_id = f"file-{uuid4().hex}"
        size = self.contents.write(file_id, iter(lambda: source.read(1 << 20), b""))
        stored = StoredFile(file_id, account, purpose, filename, size, datetime.now(UTC))
        try:
            with writing(self._engine) as connection:
                self.insert(connection, stored)
        except BaseException:
            self.contents.delete(file_id)
            raise
        return stored

    @staticmethod
    def insert(connection: Connection, stored: StoredFile) -> None:
        """Add the row of a content that is written."""
        values = {name: getattr(stored, name) for name in StoredFile.__dataclass_fields__}
        connection.execute(insert(FILES).values(**values))

    def find(self, account: str, file_id: str) -> StoredFile:
        """A file of the account; NotFound if there is none."""
        own = (FILES.c.id == file_id) & (FILES.c.account == account)
        with self._engine.connect() as connection:
            row = connection.execute(select(FILES).where(own)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no file {file_id!r}.", param="id")
        return StoredFile(**row)

    def page(
        self, account: str, *, purpose: str | None, after: str | None, limit: int, newest_first: bool
    ) -> Sequence[StoredFile]:
        """Up to `limit` files of the account behind the one with the id `after`; NotFound if that is none."""
        wanted = select(FILES).where(FILES.c.account == account)
        if purpose is not None:
            wanted = wanted.where(FILES.c.purpose == purpose)
        if after is not None:
            last = self.find(account, after)
            wanted = wanted.where(behind(FILES, last.created_at, last.id, newest_first=newest_first))
        order = [column.desc() if newest_first else column.asc() for column in (FILES.c.created_at, FILES.c.id)]
        with self._engine.connect() as connection:
            rows = connection.execute(wanted.order_by(*order).limit(limit)).mappings().all()
        return [StoredFile(**row) for row in rows]

    def delete(self, account: str, file_id: str) -> None:
        """Remove a file of the account; NotFound if there is none, InvalidValue while a batch needs it."""
        self.find(account, file_id)
        needed = (BATCHES.c.input_file == file_id) & BATCHES.c.status.in_(_OPEN)
        with writing(self._engine) as connection:
            if connection.execute(select(BATCHES.c.id).where(needed)).first() is not None:
                raise InvalidValue("A batch that has not ended reads this file: cancel it first.", param="id")
            connection.execute(delete(FILES).where(FILES.c.id == file_id))
        self.contents.delete(file_id)

    def sweep(self, age: timedelta) -> int:
        """Remove files older than `age` that no batch needs, and what an interrupted write has left; how many."""
        needed = select(BATCHES.c.input_file).where(BATCHES.c.status.in_(_OPEN))
        old = (FILES.c.created_at < datetime.now(UTC) - age) & FILES.c.id.not_in(needed)
        with writing(self._engine) as connection:
            names = list(connection.execute(select(FILES.c.id).where(old)).scalars())
            connection.execute(delete(FILES).where(FILES.c.id.in_(names)))
        for name in names:
            self.contents.delete(name)
        return len(names) + self.contents.sweep()


def behind(table: Table, created_at: datetime, row_id: str, *, newest_first: bool) -> ColumnElement[bool]:
    """The rows that come after one in the order of their creation."""
    moment, name = table.c.created_at, table.c.id
    if newest_first:
        return (moment < created_at) | ((moment == created_at) & (name < row_id))
    return (moment > created_at) | ((moment == created_at) & (name > row_id))
