"""How a call ended, in one word: the `outcome` of metrics and log lines in every process."""

from __future__ import annotations

from typing import Final

from services.errors import AnswerTooLarge, ChasquiError, Code, SlowReader

COMPLETED: Final = "completed"
CANCELLED: Final = "cancelled"  # by the caller
INVALID: Final = "invalid"  # a wrong request
REFUSED: Final = "refused"  # overloaded, draining or not ready
DEADLINE: Final = "deadline"  # the deadline passed
SLOW_READER: Final = "slow_reader"  # the caller did not read its response
FAILED: Final = "failed"  # the service failed
ALL: Final = (COMPLETED, CANCELLED, INVALID, REFUSED, DEADLINE, SLOW_READER, FAILED)

_BY_REASON: Final = {SlowReader.reason: SLOW_READER, AnswerTooLarge.reason: INVALID}
_BY_CODE: Final = {
    Code.CANCELLED: CANCELLED,
    Code.DEADLINE_EXCEEDED: DEADLINE,
    Code.UNAVAILABLE: REFUSED,
    Code.RESOURCE_EXHAUSTED: REFUSED,
    Code.INTERNAL: FAILED,
    Code.UNKNOWN: FAILED,
}


def outcome_of(error: ChasquiError) -> str:
    """The outcome of a call that ended with an error."""
    # By reason and not by class: at the edge the chat server's errors are all of one class.
    return _BY_REASON.get(error.reason) or _BY_CODE.get(error.code, INVALID)
