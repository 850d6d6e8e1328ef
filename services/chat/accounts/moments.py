"""Between protobuf's timestamps and moments of UTC; pure."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from services.errors import InvalidValue

if TYPE_CHECKING:
    from datetime import datetime


def moment_of(given: Timestamp, name: str) -> datetime:
    """The moment that the field `name` has; InvalidValue if it is none."""
    try:
        return given.ToDatetime(UTC)
    except (OverflowError, ValueError) as error:
        raise InvalidValue(f"{name} is no time between the years 1 and 9999.", param=name) from error


def timestamp_of(moment: datetime | None) -> Timestamp | None:
    """The timestamp of a moment, None of none."""
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
