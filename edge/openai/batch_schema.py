"""The JSON of files and batches as typed structs, and from records to them; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.batches.record import Batch, StoredFile


class FileBody(Struct):
    """A file; `bytes` is its size, `created_at` Unix seconds."""

    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: str
    expires_at: int
    object: Literal["file"] = "file"
    status: Literal["processed"] = "processed"


class FileList(Struct):
    """A page of files."""

    data: list[FileBody]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class DeletedFile(Struct):
    """A file that is no more."""

    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


class BatchRequest(Struct):
    """A batch to create."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None


class BatchErrorBody(Struct):
    """What is wrong with a line of the input file."""

    code: str
    message: str
    line: int | None
    param: str | None


class BatchErrors(Struct):
    """What is wrong with the input file."""

    data: list[BatchErrorBody]
    object: Literal["list"] = "list"


class RequestCounts(Struct):
    """The lines of a batch; those that `failed` are in the error file."""

    total: int
    completed: int
    failed: int


class BatchBody(Struct):
    """A batch; times are Unix seconds."""

    id: str
    endpoint: str
    input_file_id: str
    status: str
    created_at: int
    expires_at: int
    request_counts: RequestCounts
    errors: BatchErrors | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    metadata: dict[str, str] | None = None
    completion_window: Literal["24h"] = "24h"
    object: Literal["batch"] = "batch"


class BatchList(Struct):
    """A page of batches."""

    data: list[BatchBody]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


def file_body(file: StoredFile, days: float) -> FileBody:
    """A file, which is kept so many days."""
    created = int(file.created_at.timestamp())
    return FileBody(file.id, file.bytes, created, file.filename, file.purpose, created + int(days * 86_400))


def batch_body(batch: Batch) -> BatchBody:
    """A batch."""
    moments: dict[str, Any] = {
        name: None if moment is None else int(moment.timestamp()) for name, moment in batch.moments.items()
    }
    return BatchBody(
        batch.id,
        batch.endpoint,
        batch.input_file,
        str(batch.status),
        int(batch.created_at.timestamp()),
        int(batch.expires_at.timestamp()),
        RequestCounts(batch.total, batch.completed, batch.failed),
        BatchErrors([BatchErrorBody(**error) for error in batch.errors]) if batch.errors else None,
        batch.output_file,
        batch.error_file,
        metadata=dict(batch.metadata) or None,
        **moments,
    )


def file_page(files: Sequence[StoredFile], limit: int, days: float) -> FileList:
    """The first `limit` of the files."""
    data = [file_body(file, days) for file in files[:limit]]
    return FileList(data, *_ends(data), len(files) > limit)


def batch_page(batches: Sequence[Batch], limit: int) -> BatchList:
    """The first `limit` of the batches."""
    data = [batch_body(batch) for batch in batches[:limit]]
    return BatchList(data, *_ends(data), len(batches) > limit)


def _ends(data: Sequence[FileBody | BatchBody]) -> tuple[str | None, str | None]:
    return (data[0].id, data[-1].id) if data else (None, None)
