"""Anthropic's error envelope; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from edge.anthropic.answer_schema import AnthropicError, AnthropicErrorBody, AnthropicErrorDetails

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


def kind_of(status: int) -> str:
    """The error's type."""
    return KINDS.get(status, "invalid_request_error" if status < 500 else "api_error")


def envelope(failure: Failure) -> bytes:
    """The JSON of an error, for a response's body or an event of a stream."""
    code = _THREADS if failure.param == "thread" else failure.code
    details = AnthropicErrorDetails(code, failure.param)
    return msgspec.json.encode(AnthropicError(AnthropicErrorBody(kind_of(failure.status), failure.message, details)))
