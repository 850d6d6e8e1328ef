"""How a call ended, in one word: the label by which metrics and log lines of every part tell calls apart."""

from __future__ import annotations

from typing import Final

from services.errors import ChasquiError, Code, SlowReader

COMPLETED: Final = "completed"
CANCELLED: Final = "cancelled"  # by the caller
INVALID: Final = "invalid"  # the caller's mistake
REFUSED: Final = "refused"  # the service is full, or stops
DEADLINE: Final = "deadline"  # the caller's time ran out
SLOW_READER: Final = "slow_reader"  # the caller did not read its answer
FAILED: Final = "failed"  # our mistake
ALL: Final = (COMPLETED, CANCELLED, INVALID, REFUSED, DEADLINE, SLOW_READER, FAILED)

_BY_CODE: Final = {
    Code.CANCELLED: CANCELLED,
    Code.DEADLINE_EXCEEDED: DEADLINE,
    Code.UNAVAILABLE: REFUSED,
    Code.RESOURCE_EXHAUSTED: REFUSED,
    Code.INTERNAL: FAILED,
    Code.UNKNOWN: FAILED,
}


def outcome_of(error: ChasquiError) -> str:
    """The word for a call that ended with an error."""
    return SLOW_READER if isinstance(error, SlowReader) else _BY_CODE.get(error.code, INVALID)
