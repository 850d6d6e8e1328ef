"""Anthropic's error envelope; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from edge.anthropic.answer_schema import AnthropicError, AnthropicErrorBody, AnthropicErrorDetails
from services.errors import ContextLengthExceeded

if TYPE_CHECKING:
    from edge.api.errors import Failure

KINDS: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
# By this Anthropic's clients recognise that a server keeps no conversations, and send the whole one.
_THREADS: Final = "thread_unsupported_request"
# By these words they recognise a prompt that has to be compacted, as Claude Code does.
_TOO_LONG: Final = "prompt is too long"
_TOO_LONG_CODE: Final = ContextLengthExceeded.reason.lower()


def kind_of(status: int) -> str:
    """The error's type."""
    return KINDS.get(status, "invalid_request_error" if status < 500 else "api_error")


def envelope(failure: Failure) -> bytes:
    """The JSON of an error, for a response's body or an event of a stream."""
    code = _THREADS if failure.param == "thread" else failure.code
    details = AnthropicErrorDetails(code, failure.param)
    message = f"{_TOO_LONG}: {failure.message}" if failure.code == _TOO_LONG_CODE else failure.message
    return msgspec.json.encode(AnthropicError(AnthropicErrorBody(kind_of(failure.status), message, details)))
