"""Files and batches of a database and a directory of each test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.batches.storage import BatchStorage
from services.settings import Settings
from tests.unit.accounts.conftest import place as place  # the database of `make test-accounts`, or SQLite


@pytest.fixture
def storage(tmp_path: Path, place: str) -> Iterator[BatchStorage]:
    storage = BatchStorage(Settings(accounts=place, files=str(tmp_path / "files")))
    yield storage
    storage.close()
