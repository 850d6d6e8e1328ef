"""Files and batches of a database and a directory of each test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.batches.storage import BatchStorage
from services.settings import Settings


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[BatchStorage]:
    storage = BatchStorage(Settings(accounts=str(tmp_path / "accounts.db"), files=str(tmp_path / "files")))
    yield storage
    storage.close()
