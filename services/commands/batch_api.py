"""What `chasqui batch` asks of a service; the client that does so needs an HTTP library."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Final, Protocol

import msgspec

from services.commands.call_failed import CallFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_ENDED: Final = frozenset({"completed", "failed", "expired", "cancelled"})


class RequestCounts(msgspec.Struct):
    """The lines of a batch; those that `failed` are in the error file."""

    total: int = 0
    completed: int = 0
    failed: int = 0


class LineProblem(msgspec.Struct):
    """What is wrong with a line of the input file."""

    message: str = ""
    line: int | None = None


class Problems(msgspec.Struct):
    """What is wrong with the input file."""

    data: list[LineProblem] = []


class Batch(msgspec.Struct):
    """What of a batch is shown; times are Unix seconds."""

    id: str
    status: str
    endpoint: str
    input_file_id: str
    created_at: int
    request_counts: RequestCounts | None = None
    errors: Problems | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    expires_at: int | None = None

    @property
    def counts(self) -> RequestCounts:
        """Its lines, none while they are not counted yet."""
        return self.request_counts or RequestCounts()

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in _ENDED


class ServiceAway(CallFailed):
    """The service does not answer, or not now: the same call may succeed later."""


class BatchApi(Protocol):
    """Files and batches of a service; all methods raise CallFailed."""

    def upload(self, filename: str, file: IO[bytes]) -> str:
        """Upload an input file; its id."""

    def create(self, file_id: str, endpoint: str) -> Batch:
        """A batch of an uploaded file."""

    def find(self, batch_id: str) -> Batch:
        """A batch; ServiceAway if it may be asked for again."""

    def latest(self, limit: int) -> Sequence[Batch]:
        """The last `limit` batches, newest first."""

    def cancel(self, batch_id: str) -> Batch:
        """Begin to cancel a batch."""

    def download(self, file_id: str | None, target: Path) -> None:
        """Write a file's content to `target`, whole or not at all; nothing into it if there is no such file."""
