"""Errors as HTTP responses: the status of each error code, in the envelope of the API that was called."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from edge.http.exchange import CLIENT_CLOSED_REQUEST, current_exchange
from services.errors import NOT_ADMITTED, ChasquiError, Code, InsufficientQuota, Interrupted, RateLimitExceeded

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ExceptionHandler

log = logging.getLogger(__name__)

# edge/README.md has this table.
_STATUSES: Final = {
    Code.INVALID_ARGUMENT: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.FAILED_PRECONDITION: 400,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.CANCELLED: CLIENT_CLOSED_REQUEST,
    Code.UNKNOWN: 500,
    Code.UNIMPLEMENTED: 500,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
}
# Refused by the router, the body reader and the header limits.
_HTTP_CODES: Final = {
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "unsupported_media_type",
    431: "headers_too_large",
}
_LONGEST_TEXT: Final = 2000  # characters of a message
# Generation had begun and is billed: a client that retries by itself would pay twice.
_NOT_RETRIED: Final = frozenset({500, 504})
_NOT_RETRIED_REASONS: Final = frozenset({Interrupted.reason, InsufficientQuota.reason})


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as callers see it; `param` is the path of the field that caused it, `code` the kind of error."""

    status: int
    message: str
    param: str | None
    code: str | None


Envelope = Callable[[Failure], bytes]


def failure_of(error: ChasquiError) -> Failure:
    """The failure that an error is to callers."""
    return _failure(_STATUSES[error.code], error.message, error.param, error.reason.lower())


def response(error: ChasquiError, envelope: Envelope) -> Response:
    """The HTTP response for an error."""
    failure = failure_of(error)
    status = failure.status
    headers: dict[str, str] = dict(error.rate_limits)
    if error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after))
    if error.not_admitted:
        headers.update([NOT_ADMITTED])
    too_large = error.reason == RateLimitExceeded.reason and error.retry_after is None
    if too_large or status in _NOT_RETRIED or error.reason in _NOT_RETRIED_REASONS:
        headers["x-should-retry"] = "false"
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(envelope(failure), status, headers, "application/json")


def exception_handlers(envelope_at: Callable[[Request], Envelope]) -> dict[int | type[Exception], ExceptionHandler]:
    """Starlette's handlers; `envelope_at` chooses the envelope for a request."""

    async def on_chasqui_error(request: Request, error: Exception) -> Response:
        if not isinstance(error, ChasquiError):
            raise error
        exchange = current_exchange.get(None)  # probes have none
        if exchange is not None:
            exchange.error = error
        return response(error, envelope_at(request))

    async def on_http_exception(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        body = envelope_at(request)(_http_failure(request, error))
        return Response(body, error.status_code, dict(error.headers or {}), "application/json")

    async def on_exception(request: Request, error: Exception) -> Response:
        exchange = current_exchange.get(None)
        fields = {} if exchange is None else {"request_id": exchange.request_id}
        log.error("an endpoint failed", exc_info=error, extra={"fields": fields})
        return response(ChasquiError("The edge failed; the operator's log says why."), envelope_at(request))

    return {
        ChasquiError: on_chasqui_error,
        HTTPException: on_http_exception,
        ClientDisconnect: _on_disconnect,
        Exception: on_exception,
    }


async def _on_disconnect(_: Request, __: Exception) -> Response:
    """The caller disconnected while sending the body, and does not read this response."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


def _http_failure(request: Request, error: HTTPException) -> Failure:
    status, path = error.status_code, request.scope["path"]
    words = {404: f"There is no endpoint at {path}.", 405: f"{request.method} is not allowed at {path}."}
    return _failure(status, words.get(status, error.detail), None, _HTTP_CODES.get(status))


def _failure(status: int, message: str, param: str | None, code: str | None) -> Failure:
    return Failure(status, _cut(message), param and _cut(param), code)


def _cut(text: str) -> str:
    """Errors quote what callers sent, which may be megabytes."""
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."
