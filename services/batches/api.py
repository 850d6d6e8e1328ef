"""The interfaces of files and batches for their owners; those who implement them need a database."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.batches.record import Batch, StoredFile


class Files(Protocol):
    """The files of all keys. Everything waits for the database or the disk.

    Raises NotFound for what the account has not, and Unavailable while the database is away.
    """

    def open(self, file_id: str) -> IO[bytes]:
        """The content of a file, to be read; NotFound if there is none. The id must be one of ours."""

    def create(self, account: str, purpose: str, filename: str, source: IO[bytes]) -> StoredFile:
        """Store a copy of what `source` has from its position on; Unavailable, with nothing stored, without room."""

    def find(self, account: str, file_id: str) -> StoredFile:
        """A file of the account."""

    def page(
        self, account: str, *, purpose: str | None, after: str | None, limit: int, newest_first: bool
    ) -> Sequence[StoredFile]:
        """Up to `limit` files of the account behind the one with the id `after`."""

    def delete(self, account: str, file_id: str) -> None:
        """Remove a file of the account; InvalidValue while a batch needs it."""


class Batches(Protocol):
    """The batches of all keys. Everything waits for the database, and raises as above."""

    def create(self, account: str, endpoint: str, input_file: str, metadata: Mapping[str, str]) -> Batch:
        """A new batch, whose file is checked next."""

    def find(self, account: str, batch_id: str) -> Batch:
        """A batch of the account."""

    def page(self, account: str, *, after: str | None, limit: int) -> Sequence[Batch]:
        """Up to `limit` batches of the account, newest first, behind the one with the id `after`."""

    def cancel(self, account: str, batch_id: str) -> Batch:
        """Begin to cancel a batch; InvalidValue if it has ended."""

    def unfinished(self) -> Sequence[Batch]:
        """The batches of all accounts that have not ended, oldest first."""


class Storage(Protocol):
    """Files and batches, with their limits: bytes of a file, and days that it is kept."""

    max_file_bytes: int
    file_days: float

    @property
    def files(self) -> Files:
        """The files."""

    @property
    def batches(self) -> Batches:
        """The batches."""

    def close(self) -> None:
        """Close the connections."""
