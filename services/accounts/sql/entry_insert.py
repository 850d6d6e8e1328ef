"""Inserts rows of the ledger, many with one statement."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import astuple
from sqlalchemy import literal_column
from sqlalchemy.dialects import postgresql, sqlite

from services.accounts.ledger.entry import LOST, LedgerEntry
from services.accounts.sql.tables import CALLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Dialect

    Execute = Callable[[str, tuple[Any, ...]], object]

_COLUMNS: Final = len(LedgerEntry.__struct_fields__)
_AT: Final = LedgerEntry.__struct_fields__.index("at")
# A statement has 1 to 31 rows, or 32, 64 ... 256: so few forms that the driver keeps all of them prepared. SQLite takes
# as long to prepare a row's part of a statement as to run it.
_MOST_ROWS: Final = 256
_STEP_ROWS: Final = 32


class EntryInsert:
    """Of a call's rows the first one stays.

    It is replaced if its call was lost, by the server's own row or by that of more tokens that an edge has received;
    and by that of a later call with the same id: a line of a batch that ran again.
    The database's driver gets the values as it takes them: SQLAlchemy's conversion takes 11 of 20 µs for a row. And it
    gets many rows at once: after each statement its thread waits until a busy loop gives the interpreter back.
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
        self._most_rows = _most_rows(dialect)
        self._moment = _sqlite_moment if dialect.name == "sqlite" else _moment

    def __call__(self, execute: Execute, entries: Sequence[LedgerEntry]) -> None:
        """Insert the rows; `execute` takes a statement of the driver and its parameters."""
        moment = self._moment
        for rows in _of_statements(entries, self._most_rows):
            values: list[Any] = []
            for entry in rows:
                values += astuple(entry)
                values[_AT - _COLUMNS] = moment(entry.at)
            execute(_statement(*self._parts, len(rows)), tuple(values))


def _moment(at: datetime) -> datetime:
    """What a column of `UtcDateTime` takes."""
    return at.astimezone(UTC).replace(tzinfo=None)


def _sqlite_moment(at: datetime) -> str:
    """The same in the form in which SQLAlchemy has it in SQLite; its own conversion takes four times as long."""
    return _moment(at).isoformat(" ", "microseconds")


def _most_rows(dialect: Dialect) -> int:
    """Rows that a statement may have: SQLite before 3.32 takes 999 parameters."""
    if dialect.name != "sqlite":
        return _MOST_ROWS
    with closing(sqlite3.connect(":memory:")) as connection:
        parameters = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
    return min(_MOST_ROWS, parameters // _COLUMNS)


def _of_statements(entries: Sequence[LedgerEntry], most: int) -> Iterator[Sequence[LedgerEntry]]:
    """The entries of each statement, in their order, no two of one call: PostgreSQL refuses that."""
    rows: dict[str, LedgerEntry] = {}
    for entry in entries:
        if len(rows) == most or entry.call_id in rows:
            yield from _in_steps(list(rows.values()))
            rows = {}
        rows[entry.call_id] = entry
    yield from _in_steps(list(rows.values()))


def _in_steps(rows: Sequence[LedgerEntry]) -> Iterator[Sequence[LedgerEntry]]:
    """A multiple of the step, and the rest."""
    steps = len(rows) // _STEP_ROWS * _STEP_ROWS
    for part in (rows[:steps], rows[steps:]):
        if part:
            yield part


@lru_cache(maxsize=2 * _STEP_ROWS)
def _statement(before: str, row: str, after: str, rows: int) -> str:
    return f"{before}{', '.join([row] * rows)}{after}"
