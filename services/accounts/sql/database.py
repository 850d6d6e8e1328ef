"""The database of the accounts: SQLite in a file, or PostgreSQL; brought to the current form when it is opened."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError

from services.accounts.keys.key import AccountsError
from services.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPICursor

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

log = logging.getLogger(__name__)

# PostgreSQL may start beside the server; a command of the terminal waits as long.
_START_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 0.5
_POSTGRESQL: Final = {
    "connect_timeout": 5,
    "tcp_user_timeout": 5000,
    "options": "-c statement_timeout=10000 -c lock_timeout=10000",
}
_SQLITE_SECONDS: Final = 10  # for another process to finish its write
_BEGIN_WRITING: Final = "BEGIN IMMEDIATE"
_MIGRATION_LOCK: Final = 0x63686173  # an arbitrary number: advisory locks of PostgreSQL are numbers


def open_database(place: str) -> Engine:
    """Connect to `place`, a file or a `postgresql://` URL, and run the migrations that it lacks.

    SettingsError if that cannot be, one sentence without the URL's password.
    """
    engine = _sqlite(Path(place)) if "://" not in place else _postgresql(place)
    try:
        _bring_up_to_date(engine)
    except DBAPIError as error:
        engine.dispose()
        raise _unusable(engine, error) from error
    return engine


def or_away(method: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The method, with AccountsError for a database that is away."""

    @wraps(method)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return method(*args, **kwargs)
        except SQLAlchemyError as error:
            raise AccountsError("The accounts' database is away.") from error

    return call


def writing(engine: Engine) -> Any:
    """A transaction that writes. SQLite locks the file at once: a lock that is taken later may fail without waiting."""
    return engine.execution_options(writes=True).begin()


@contextmanager
def driver_cursor(engine: Engine) -> Iterator[DBAPICursor]:
    """The driver's cursor, since SQLAlchemy's objects for a transaction take as long as 30 rows of a call.

    What it executes is committed at the end; in SQLite each statement by itself. For a thread beside a busy event loop
    the statements that begin and commit are dear: after each one it waits until the loop gives the GIL back.
    """
    connection = engine.raw_connection()
    try:
        yield connection.cursor()
        connection.commit()
    except BaseException:
        try:
            connection.rollback()
        except Exception:  # noqa: BLE001 - the first error is raised, and this connection is used no more
            connection.invalidate()
        raise
    finally:
        connection.close()


def _bring_up_to_date(engine: Engine) -> None:
    """Run the migrations; DBAPIError if that cannot be, for PostgreSQL not before it has had the time to start."""
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            with writing(engine) as connection:
                _migrate(connection)
            return
        except OperationalError as error:
            if time.monotonic() > end or not _may_pass(engine, error):
                raise
            time.sleep(_RETRY_SECONDS)


def _may_pass(engine: Engine, error: OperationalError) -> bool:
    """Whether to try again: a PostgreSQL that starts, or other processes that make the same SQLite file.

    SQLite's own timeout does not hold for the change of a new file to write-ahead logging, which fails at once.
    """
    if engine.dialect.name != "sqlite":
        return True
    return isinstance(error.orig, sqlite3.OperationalError) and error.orig.sqlite_errorcode == sqlite3.SQLITE_BUSY


def _sqlite(path: Path) -> Engine:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Readable by its owner only: SQLite would create it with what the umask leaves.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise SettingsError(f"CHASQUI_ACCOUNTS names the file {path}, which cannot be written: {error}.") from error
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", connect_args={"timeout": _SQLITE_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgresql(url: str) -> Engine:
    try:
        parsed = sqlalchemy.make_url(url)
        if parsed.drivername not in {"postgresql", "postgres"}:
            raise SettingsError(
                f"CHASQUI_ACCOUNTS names a {parsed.drivername!r} database, but must be a file or a postgresql:// URL."
            )
        return sqlalchemy.create_engine(
            parsed.set(drivername="postgresql+psycopg"), connect_args=_POSTGRESQL, pool_pre_ping=True
        )
    except (ArgumentError, ValueError):  # the second for a port that is no number
        raise SettingsError("CHASQUI_ACCOUNTS is no URL; it must be a file or postgresql://USER@HOST/NAME.") from None


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions are begun below
    # Readers do not wait for the writer, and what is committed survives a loss of power.
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql(_BEGIN_WRITING if writes else "BEGIN")


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current == scripts.get_current_head():
        return
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        # Migrations only add, so that servers of the last release go on while others are replaced.
        log.warning("the accounts' database is of a later release (revision %s)", current)
        return
    command.upgrade(config, "head")


def _unusable(engine: Engine, error: DBAPIError) -> SettingsError:
    place = engine.url.render_as_string(hide_password=True)
    reason = str(error.orig).strip().splitlines()[0]
    return SettingsError(f"CHASQUI_ACCOUNTS: the database {place} cannot be used: {reason}")
