"""From the records of files and batches to the contract's messages; pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from chasqui.v1 import batch_service_pb2, file_service_pb2

if TYPE_CHECKING:
    from datetime import datetime

    from services.batches.record import Batch, StoredFile


def file_message(file: StoredFile, days: float) -> file_service_pb2.File:
    """A file, which is kept so many days."""
    return file_service_pb2.File(
        id=file.id,
        filename=file.filename,
        purpose=file.purpose,
        size_bytes=file.bytes,
        created=_timestamp(file.created_at),
        expires=_timestamp(file.created_at + timedelta(days=days)),
    )


def batch_message(batch: Batch) -> batch_service_pb2.Batch:
    """A batch."""
    since = batch.moments.get(f"{batch.status}_at")
    return batch_service_pb2.Batch(
        id=batch.id,
        endpoint=batch.endpoint,
        input_file_id=batch.input_file,
        status=batch_service_pb2.BatchStatus.Value(f"BATCH_STATUS_{batch.status.name}"),
        created=_timestamp(batch.created_at),
        expires=_timestamp(batch.expires_at),
        status_since=None if since is None else _timestamp(since),
        total=batch.total,
        completed=batch.completed,
        failed=batch.failed,
        output_file_id=batch.output_file or "",
        error_file_id=batch.error_file or "",
        errors=[batch_service_pb2.BatchLineError(**error) for error in batch.errors],
        metadata=batch.metadata,
    )


def _timestamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
