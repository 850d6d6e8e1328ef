"""What callers may ask for, over REST and gRPC alike: files that are stored, and batches that are created."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Final

from services.batches.input_file import ENDPOINTS, first_error
from services.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.batches.api import Storage
    from services.batches.record import Batch, StoredFile

PURPOSES: Final = ("batch",)
WINDOW: Final = "24h"
MOST_FILES: Final = 10_000  # of a page
MOST_BATCHES: Final = 100  # of a page
_LONGEST_NAME: Final = 256
_MOST_PAIRS: Final = 16
_LONGEST_KEY: Final = 64
_LONGEST_VALUE: Final = 512


def store_file(storage: Storage, account: str, purpose: str, filename: str, source: IO[bytes]) -> StoredFile:
    """Store a file; InvalidValue names what is wrong with it, its first wrong line by its number. Waits for the disk.

    `source` is read from its beginning, twice.
    """
    if purpose not in PURPOSES:
        raise InvalidValue(f"purpose must be {' or '.join(PURPOSES)}.", param="purpose")
    source.seek(0)
    wrong = first_error(source)
    if wrong is not None:
        raise InvalidValue(wrong.message, param="file")
    source.seek(0)
    return storage.files.create(account, purpose, filename[:_LONGEST_NAME] or "file.jsonl", source)


def create_batch(
    storage: Storage, account: str, *, input_file: str, endpoint: str, window: str, metadata: Mapping[str, str]
) -> Batch:
    """Create a batch, which a runner takes next; InvalidValue names a wrong field, NotFound the file. May wait."""
    if endpoint not in ENDPOINTS:
        raise InvalidValue(f"endpoint must be one of {', '.join(ENDPOINTS)}.", param="endpoint")
    if window != WINDOW:
        raise InvalidValue(f"completion_window must be {WINDOW}.", param="completion_window")
    if len(metadata) > _MOST_PAIRS or any(
        len(name) > _LONGEST_KEY or len(value) > _LONGEST_VALUE for name, value in metadata.items()
    ):
        raise InvalidValue(
            f"metadata may have {_MOST_PAIRS} pairs, with names of {_LONGEST_KEY} and texts of {_LONGEST_VALUE} "
            "characters.",
            param="metadata",
        )
    storage.files.find(account, input_file)
    return storage.batches.create(account, endpoint, input_file, metadata)


def check_limit(limit: int, most: int) -> int:
    """The number of entries of a page; InvalidValue if it is not from 1 to `most`."""
    if not 1 <= limit <= most:
        raise InvalidValue(f"limit must be a number from 1 to {most:,}.", param="limit")
    return limit
