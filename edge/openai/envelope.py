"""OpenAI's error envelope; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge.openai.answer_schema import ErrorBody, ErrorEnvelope

if TYPE_CHECKING:
    from edge.api.errors import Failure


def envelope(failure: Failure) -> bytes:
    """The JSON of an error, for a response's body or an event of a stream."""
    if failure.status == 429:
        kind = "rate_limit_error"
    else:
        kind = "invalid_request_error" if failure.status < 500 else "server_error"
    return msgspec.json.encode(ErrorEnvelope(ErrorBody(failure.message, kind, failure.param, failure.code)))
