"""Leads batches from one state to the next: their file is checked, their time ends, their results are written."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from edge.batches.line import unanswered
from services.batches.input_file import WrongLineError, read_lines
from services.batches.record import Batch, Line, LineError, Status
from services.errors import NotFound

if TYPE_CHECKING:
    from services.batches.storage import BatchStorage

log = logging.getLogger(__name__)

# What is wrong with a file is listed up to this number of lines.
_MOST_ERRORS: Final = 100
_EXPIRED: Final = ("batch_expired", "This request could not be executed before the completion window expired.")
_CANCELLED: Final = ("batch_cancelled", "The batch was cancelled before this request was executed.")


def lead(storage: BatchStorage, batch: Batch) -> None:
    """Do what is next for a batch, if anything is. Waits for disk and database; can be repeated from any point."""
    expired = datetime.now(UTC) >= batch.expires_at
    if batch.status is Status.IN_PROGRESS:
        if expired or not storage.lines.open_lines(batch):
            storage.batches.move(batch, Status.FINALIZING)
        return
    if not storage.batches.take(batch):
        return
    if batch.status is Status.VALIDATING:
        _validate(storage, batch)
    elif batch.status is Status.CANCELLING:
        _close(storage, batch, _CANCELLED)
        storage.end(batch, Status.CANCELLED)
    elif storage.lines.open_lines(batch):
        _close(storage, batch, _EXPIRED)
        storage.end(batch, Status.EXPIRED)
    else:
        storage.end(batch, Status.COMPLETED)
    log.info("batch moved on", extra={"fields": {"batch": batch.id, "from": batch.status}})


def _validate(storage: BatchStorage, batch: Batch) -> None:
    lines: list[Line] = []
    errors: list[LineError] = []
    try:
        with storage.files.open(batch.input_file) as source:
            for line in read_lines(batch.id, source, batch.endpoint):
                if not isinstance(line, WrongLineError):
                    lines.append(line)
                elif len(errors) < _MOST_ERRORS:
                    errors.append(line.error)
    except NotFound:
        errors.append(LineError("file_not_found", "The input file was deleted."))
    if errors:
        storage.batches.fail(batch, errors)
    else:
        storage.lines.begin(batch, lines)


def _close(storage: BatchStorage, batch: Batch, why: tuple[str, str]) -> None:
    """Give the lines without a result an error for one."""
    for line in storage.lines.unanswered(batch):
        storage.lines.finish(line, unanswered(line, *why), succeeded=False)
