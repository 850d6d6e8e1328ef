"""A database of its own for each test: an SQLite file, or a database of the PostgreSQL server that is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine

from services.accounts.sql.database import open_database

# The URL of a PostgreSQL server on which databases can be made: `make test-accounts` has one.
SERVER = os.environ.get("TEST_POSTGRESQL", "")


@pytest.fixture
def place(tmp_path: Path) -> str:
    """What `CHASQUI_ACCOUNTS` would be."""
    if not SERVER:
        return str(tmp_path / "accounts.db")
    name = f"test_{uuid4().hex}"
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return SERVER.rpartition("/")[0] + f"/{name}"


@pytest.fixture
def database(place: str) -> Iterator[Engine]:
    engine = open_database(place)
    yield engine
    engine.dispose()
