"""How a call ended, in one word."""

from __future__ import annotations

import pytest

from edge.upstream.upstream_error import error_of_status
from services.chat.transport.status import status_of
from services.errors import (
    Cancelled,
    ChasquiError,
    DeadlineExceeded,
    EngineFailed,
    Interrupted,
    InvalidApiKey,
    InvalidValue,
    SlowReader,
    Unavailable,
)
from services.telemetry import outcome

OUTCOMES = {
    Cancelled("x"): outcome.CANCELLED,
    DeadlineExceeded("x"): outcome.DEADLINE,
    EngineFailed("x"): outcome.FAILED,
    Interrupted(): outcome.REFUSED,
    InvalidApiKey("x"): outcome.INVALID,
    InvalidValue("x", param="n"): outcome.INVALID,
    SlowReader(): outcome.SLOW_READER,
    Unavailable("x", reason="OVERLOADED", retry_after=1.0): outcome.REFUSED,
}


@pytest.mark.parametrize(("error", "word"), OUTCOMES.items(), ids=[type(error).__name__ for error in OUTCOMES])
def test_the_outcome_of_an_error_is_the_same_in_the_server_and_at_the_edge(error: ChasquiError, word: str) -> None:
    assert outcome.outcome_of(error) == word
    assert outcome.outcome_of(error_of_status(status_of(error))) == word
