"""Where the accounts are kept, and that every release finds them in its form."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine

from services.accounts.keys.key import Key
from services.accounts.sql.database import open_database, writing
from services.accounts.sql.key_store import SqlKeyStore
from services.accounts.sql.tables import METADATA
from services.settings import SettingsError
from tests.support.wording import is_one_sentence


def test_the_migrations_make_the_tables_that_the_code_uses(database: Engine) -> None:
    with database.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_a_file_of_accounts_is_only_for_its_owner(tmp_path: Path) -> None:
    open_database(str(tmp_path / "deep" / "accounts.db")).dispose()
    assert (tmp_path / "deep" / "accounts.db").stat().st_mode & 0o777 == 0o600


def test_processes_that_open_a_new_database_at_once_make_it_once(place: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        engines = list(threads.map(open_database, [place] * 8))
    SqlKeyStore(engines[0]).create(Key("ana", "", datetime.now(UTC)))
    assert [key.name for key in SqlKeyStore(engines[7]).all()] == ["ana"]
    for engine in engines:
        engine.dispose()


def test_a_new_file_that_another_process_makes_meanwhile_is_waited_for(tmp_path: Path) -> None:
    place = tmp_path / "accounts.db"
    other = sqlite3.connect(place, isolation_level=None, check_same_thread=False)
    # A write that is not committed: the change to write-ahead logging fails at once beside it.
    other.executescript("CREATE TABLE other (x); BEGIN; SELECT * FROM other; INSERT INTO other VALUES (1);")
    committing = threading.Timer(0.2, lambda: other.execute("COMMIT"))
    committing.start()
    open_database(str(place)).dispose()
    committing.join()
    other.close()


def test_a_database_of_a_later_release_is_used_as_it_is(place: str) -> None:
    engine = open_database(place)
    with writing(engine) as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    later = open_database(place)
    assert SqlKeyStore(later).all() == []
    later.dispose()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("/proc/nowhere/accounts.db", "/proc/nowhere/accounts.db"),
        ("mysql://user:password@host/name", "mysql"),
        ("postgresql://user:password@host:port/name", "CHASQUI_ACCOUNTS"),
    ],
)
def test_a_place_that_cannot_be_used_is_one_sentence(wrong: str, named: str) -> None:
    with pytest.raises(SettingsError) as raised:
        open_database(wrong)
    assert is_one_sentence(str(raised.value))
    assert named in str(raised.value)
    assert "password" not in str(raised.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "accounts.db").write_text("not a database at all, but some text" * 100)
    with pytest.raises(SettingsError, match=r"accounts\.db"):
        open_database(str(tmp_path / "accounts.db"))
