"""A stored file, a batch, and a line of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


class Status(StrEnum):
    """The state of a batch; the names are OpenAI's."""

    VALIDATING = "validating"  # its file is being checked, line by line
    FAILED = "failed"  # a line of its file is wrong, and none was run
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"  # every line has its result, and the result files are being written
    COMPLETED = "completed"
    EXPIRED = "expired"  # its time ended before every line had its result
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file without its content; `account` is the key that owns it, the only one that sees it."""

    id: str
    account: str
    purpose: str
    filename: str
    bytes: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class LineError:
    """What is wrong with a line of a batch's file; `line` counts from 1 and is None for the file as a whole."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls to one endpoint; `total`, `completed` and `failed` count lines, those that failed have an error."""

    id: str
    account: str
    endpoint: str
    input_file: str
    metadata: Mapping[str, str]
    status: Status
    created_at: datetime
    expires_at: datetime
    moments: Mapping[str, datetime | None]  # when it entered each state, by the state's name and `_at`
    output_file: str | None
    error_file: str | None
    errors: Sequence[Mapping[str, Any]]  # the fields of LineError
    total: int
    completed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Line:
    """A call of a batch, whose request is `length` bytes from `offset` of the input file; `number` counts from 1."""

    batch: str
    number: int
    custom_id: str
    offset: int
    length: int
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class ClaimedLine:
    """A line that a runner may run until its lease ends, and what it needs of its batch."""

    line: Line
    account: str
    endpoint: str
    input_file: str
