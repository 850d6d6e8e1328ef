"""A real PostgreSQL server and a real Valkey or Redis server; tests are skipped where one of them is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import postgresql, valkey
from tests.support.operator import Operator
from tests.support.postgresql import PostgreSQL
from tests.support.valkey import ValkeyServer


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    if postgresql.programs() is None:
        pytest.skip("there is no PostgreSQL server on this machine (Debian: postgresql)")
    # Not below the folders of pytest, which only their owner may enter.
    with PostgreSQL(Path("/var/tmp") / f"chasqui-{tmp_path_factory.getbasetemp().name}") as server:  # noqa: S108
        yield server


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    if valkey.program() is None:
        pytest.skip("there is neither Valkey nor Redis on this machine (Debian: redis-server)")
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def operator(database: PostgreSQL, request: pytest.FixtureRequest) -> Operator:
    return Operator(database.create(request.node.name.replace("[", "_").rstrip("]")[:60]))
