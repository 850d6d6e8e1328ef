"""Errors as HTTP responses: the status of each error code, and OpenAI's error envelope."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from edge.http.exchange import CLIENT_CLOSED_REQUEST, current_exchange
from edge.openai.answer_schema import ErrorBody, ErrorEnvelope
from services.errors import NOT_ADMITTED, ChasquiError, Code, Interrupted

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ExceptionHandler

# edge/README.md has this table.
_STATUSES: Final = {
    Code.INVALID_ARGUMENT: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
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
_NOT_RETRIED_REASONS: Final = frozenset({Interrupted.reason})


def envelope(error: ChasquiError) -> bytes:
    """The JSON of an error, for a response's body or an event of a stream."""
    return _encode(_STATUSES[error.code], error.message, error.param, error.reason.lower())


def response(error: ChasquiError) -> Response:
    """The HTTP response for an error."""
    status = _STATUSES[error.code]
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after))
    if error.not_admitted:
        headers.update([NOT_ADMITTED])
    if status in _NOT_RETRIED or error.reason in _NOT_RETRIED_REASONS:
        headers["x-should-retry"] = "false"
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(envelope(error), status, headers, "application/json")


async def _on_chasqui_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, ChasquiError):
        raise error
    exchange = current_exchange.get(None)  # probes have none
    if exchange is not None:
        exchange.error = error
    return response(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status = error.status_code
    path = request.scope["path"]
    message = {404: f"There is no endpoint at {path}.", 405: f"{request.method} is not allowed at {path}."}.get(
        status, error.detail
    )
    body = _encode(status, message, None, _HTTP_CODES.get(status))
    return Response(body, status, dict(error.headers or {}), "application/json")


async def _on_disconnect(_: Request, __: Exception) -> Response:
    """The caller disconnected while sending the body: nobody reads this response."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def _on_exception(_: Request, __: Exception) -> Response:
    return response(ChasquiError("The edge failed; the operator's log says why."))


def _encode(status: int, message: str, param: str | None, code: str | None) -> bytes:
    kinds = {429: "rate_limit_error"}
    kind = kinds.get(status, "invalid_request_error" if status < 500 else "server_error")
    return msgspec.json.encode(ErrorEnvelope(ErrorBody(_cut(message), kind, param and _cut(param), code)))


def _cut(text: str) -> str:
    """Errors quote what callers sent, which may be megabytes."""
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."


EXCEPTION_HANDLERS: Final[dict[int | type[Exception], ExceptionHandler]] = {
    ChasquiError: _on_chasqui_error,
    HTTPException: _on_http_exception,
    ClientDisconnect: _on_disconnect,
    Exception: _on_exception,
}
