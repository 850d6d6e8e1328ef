"""Inserts rows of the ledger, many with one statement."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import astuple
from sqlalchemy import literal_column
from sqlalchemy.dialects import postgresql, sqlite

from services.accounts.ledger.entry import LOST, LedgerEntry
from services.accounts.sql.tables import CALLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection, Dialect

# Of a statement. SQLite before 3.32 takes 999 parameters.
_MOST_ROWS: Final = 999 // len(LedgerEntry.__struct_fields__)


class EntryInsert:
    """Of a call's rows the first one stays.

    It is replaced if its call was lost, by the server's own row or by that of more tokens that an edge has received;
    and by that of a later call with the same id: a line of a batch that ran again.
    The database's driver gets the values as it takes them: SQLAlchemy's conversion takes 11 of 20 µs for a row. And it
    gets many rows at once: with each statement it gives the interpreter away, and waits up to 5 ms for a busy loop to
    give it back.
    """

    def __init__(self, dialect: Dialect) -> None:
        new: Any = (sqlite if dialect.name == "sqlite" else postgresql).insert(CALLS)
        changed = {name: new.excluded[name] for name in LedgerEntry.__struct_fields__ if name != "call_id"}
        lost: Any = literal_column(f"'{LOST}'")  # not a parameter, as every row would need it
        known = new.excluded["outcome"] != lost
        more = new.excluded["completion_tokens"] > CALLS.c.completion_tokens
        replaced = ((CALLS.c.outcome == lost) & (known | more)) | (known & (new.excluded["at"] > CALLS.c.at))
        # Parameters by their position: those of several rows would have the same names.
        by_position: Any = dialect if dialect.positional else type(dialect)(paramstyle="format")  # type: ignore[call-arg]
        compiled = new.on_conflict_do_update(index_elements=["call_id"], set_=changed, where=replaced).compile(
            dialect=by_position
        )
        before, values, rest = str(compiled).partition(" VALUES ")
        row, on_conflict, after = rest.partition(" ON CONFLICT ")
        self._parts = f"{before}{values}", row, f"{on_conflict}{after}"
        self._moment: Any = CALLS.c.at.type.dialect_impl(dialect).bind_processor(dialect)

    def __call__(self, connection: Connection, entries: Sequence[LedgerEntry]) -> None:
        """Insert the rows."""
        moment = self._moment
        for rows in _of_statements(entries):
            values: list[Any] = []
            for entry in rows:
                call_id, at, *others = astuple(entry)
                values += (call_id, moment(at), *others)
            connection.exec_driver_sql(_statement(*self._parts, len(rows)), tuple(values))


def _of_statements(entries: Iterable[LedgerEntry]) -> Iterator[Sequence[LedgerEntry]]:
    """The entries in their order, so many as a statement may have, and no two of a call: PostgreSQL takes none."""
    rows: dict[str, LedgerEntry] = {}
    for entry in entries:
        if len(rows) == _MOST_ROWS or entry.call_id in rows:
            yield list(rows.values())
            rows = {}
        rows[entry.call_id] = entry
    if rows:
        yield list(rows.values())


@lru_cache(maxsize=2 * _MOST_ROWS)
def _statement(before: str, row: str, after: str, rows: int) -> str:
    return f"{before}{', '.join([row] * rows)}{after}"
