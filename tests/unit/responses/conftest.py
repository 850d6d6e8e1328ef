"""Stored responses of a database of each test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.responses.response_store import ResponseStore
from services.settings import Settings
from tests.unit.accounts.conftest import place as place  # the database of `make test-accounts`, or SQLite


@pytest.fixture
def store(place: str) -> Iterator[ResponseStore]:
    store = ResponseStore(Settings(accounts=place, response_days=30))
    yield store
    store.close()
