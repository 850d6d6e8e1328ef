"""Failures as HTTP: which status, envelope and headers each becomes, and what a gRPC status means to the caller."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_status import rpc_status
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from edge.api import errors
from edge.openai.envelope import envelope
from edge.upstream.upstream_error import UpstreamError, error_of_rpc
from services.chat.transport.status import status_of
from services.errors import (
    ChasquiError,
    Code,
    ContextLengthExceeded,
    DeadlineExceeded,
    EngineFailed,
    InvalidApiKey,
    InvalidValue,
    ModelNotFound,
    Unavailable,
    UnsupportedParameter,
)
from tests.support.asgi import Answer, Exchange

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

# The published table: code -> HTTP status and type.
TABLE = {
    Code.INVALID_ARGUMENT: (400, "invalid_request_error"),
    Code.UNAUTHENTICATED: (401, "invalid_request_error"),
    Code.PERMISSION_DENIED: (403, "invalid_request_error"),
    Code.NOT_FOUND: (404, "invalid_request_error"),
    Code.ALREADY_EXISTS: (409, "invalid_request_error"),
    Code.FAILED_PRECONDITION: (400, "invalid_request_error"),
    Code.RESOURCE_EXHAUSTED: (429, "rate_limit_error"),
    Code.CANCELLED: (499, "invalid_request_error"),
    Code.UNKNOWN: (500, "server_error"),
    Code.UNIMPLEMENTED: (500, "server_error"),
    Code.INTERNAL: (500, "server_error"),
    Code.UNAVAILABLE: (503, "server_error"),
    Code.DEADLINE_EXCEEDED: (504, "server_error"),
}
FAILURES = [
    (InvalidValue("top_k is 5000.", param="top_k"), 400, "invalid_value"),
    (UnsupportedParameter("audio is not supported.", param="audio"), 400, "unsupported_parameter"),
    (ContextLengthExceeded("200 tokens, but 100 fit.", param="messages"), 400, "context_length_exceeded"),
    (InvalidApiKey("No key."), 401, "invalid_api_key"),
    (ModelNotFound("No model.", param="model"), 404, "model_not_found"),
    (EngineFailed("It broke."), 500, "engine_failed"),
    (ChasquiError("It broke."), 500, "internal"),
    (Unavailable("Full.", reason="OVERLOADED", retry_after=2.5), 503, "overloaded"),
    (Unavailable("Stopping.", reason="DRAINING", retry_after=1.0), 503, "draining"),
    (DeadlineExceeded("Too late."), 504, "deadline_exceeded"),
]


def response(error: ChasquiError) -> Response:
    return errors.response(error, envelope)


def coded(code: Code, retry_after: float | None = None) -> UpstreamError:
    return UpstreamError(code, "No.", info={"param": "n"}, reason="SOME_REASON", retry_after=retry_after)


def error_of(response: Response) -> dict[str, Any]:
    """The error in an answer; every answer is an envelope with exactly the four members."""
    envelope = json.loads(bytes(response.body))
    assert envelope.keys() == {"error"}
    error: dict[str, Any] = envelope["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return error


def over_the_wire(error: ChasquiError) -> grpc.aio.AioRpcError:
    """What a client of the chat server catches when the server fails with `error`."""
    status = rpc_status.to_status(status_of(error))
    trailing = grpc.aio.Metadata(*status.trailing_metadata)
    return grpc.aio.AioRpcError(status.code, grpc.aio.Metadata(), trailing, status.details)


def foreign(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    """A failure in the words of the RPC library."""
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "connect: /private/path")


def test_the_table_covers_every_code() -> None:
    assert set(TABLE) == set(Code)


@pytest.mark.parametrize("code", Code, ids=lambda code: code.name)
def test_a_code_becomes_its_status_and_type(code: Code) -> None:
    answer = response(coded(code))
    status, kind = TABLE[code]
    assert answer.status_code == status
    assert error_of(answer) == {"message": "No.", "type": kind, "param": "n", "code": "some_reason"}
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("code", Code, ids=lambda code: code.name)
def test_a_failure_inside_a_stream_has_the_same_envelope_as_an_answer(code: Code) -> None:
    assert envelope(errors.failure_of(coded(code))) == response(coded(code)).body


@pytest.mark.parametrize(("error", "status", "code"), FAILURES, ids=[code for _, _, code in FAILURES])
def test_a_failure_becomes_its_status_and_code(error: ChasquiError, status: int, code: str) -> None:
    answer = response(error)
    assert answer.status_code == status
    assert error_of(answer)["code"] == code
    assert error_of(answer)["param"] == error.param


@pytest.mark.parametrize(("error", "status", "code"), FAILURES, ids=[code for _, _, code in FAILURES])
def test_an_error_of_the_chat_server_is_answered_like_our_own(error: ChasquiError, status: int, code: str) -> None:
    here, there = response(error), response(error_of_rpc(over_the_wire(error)))
    assert there.status_code == status
    assert error_of(there) == error_of(here)
    assert dict(there.headers) == dict(here.headers)


@pytest.mark.parametrize(
    ("reason", "marked"),
    [("DRAINING", True), ("NOT_READY", True), ("OVERLOADED", False), ("UPSTREAM_UNAVAILABLE", False)],
)
def test_what_another_replica_may_take_is_marked_for_the_proxy(reason: str, marked: bool) -> None:
    here = response(Unavailable("No.", reason=reason, retry_after=1.0))
    assert ("x-not-admitted" in here.headers) == marked


@pytest.mark.parametrize(
    ("seconds", "header"), [(0.05, "1"), (1.0, "1"), (1.2, "2"), (30.0, "30"), (None, None)], ids=str
)
@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED], ids=lambda code: code.name)
def test_retry_after_is_in_whole_seconds_rounded_up(code: Code, seconds: float | None, header: str | None) -> None:
    assert response(coded(code, seconds)).headers.get("retry-after") == header


@pytest.mark.parametrize("code", Code, ids=lambda code: code.name)
def test_only_failures_after_admission_tell_clients_not_to_retry(code: Code) -> None:
    header = response(coded(code)).headers.get("x-should-retry")
    assert header == ("false" if TABLE[code][0] in (500, 504) else None)


@pytest.mark.parametrize("code", Code, ids=lambda code: code.name)
def test_only_a_missing_key_is_challenged(code: Code) -> None:
    header = response(coded(code)).headers.get("www-authenticate")
    assert header == ("Bearer" if code is Code.UNAUTHENTICATED else None)


@pytest.mark.parametrize(
    ("code", "status", "word", "retry_after"),
    [
        (grpc.StatusCode.UNAVAILABLE, 503, "upstream_unavailable", "1"),
        (grpc.StatusCode.CANCELLED, 503, "not_ready", "1"),
        (grpc.StatusCode.UNKNOWN, 500, "internal", None),
        (grpc.StatusCode.INTERNAL, 500, "internal", None),
        (grpc.StatusCode.UNIMPLEMENTED, 500, "internal", None),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 500, "internal", None),
        (grpc.StatusCode.INVALID_ARGUMENT, 500, "internal", None),
        (grpc.StatusCode.ABORTED, 500, "internal", None),
        (grpc.StatusCode.DATA_LOSS, 500, "internal", None),
    ],
    ids=lambda value: value.name if isinstance(value, grpc.StatusCode) else "",
)
def test_a_status_that_is_not_our_servers_own_is_reported_without_its_words(
    code: grpc.StatusCode, status: int, word: str, retry_after: str | None
) -> None:
    answer = response(error_of_rpc(foreign(code)))
    assert answer.status_code == status
    assert error_of(answer)["code"] == word
    assert "private" not in error_of(answer)["message"]
    assert answer.headers.get("retry-after") == retry_after


async def get(app: Starlette, method: str, target: str) -> Answer:
    return await Exchange(app, method, target).answer()


def app_that_raises(error: Exception) -> Starlette:
    async def fail(_: Request) -> Response:
        raise error

    return Starlette(routes=[Route("/fails", fail)], exception_handlers=errors.exception_handlers(lambda _: envelope))


async def test_an_exception_that_nobody_foresaw_is_in_the_log_and_not_in_the_response(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exchange = Exchange(app_that_raises(KeyError("private")), "GET", "/fails")
    start, body = await exchange.next(), await exchange.next()
    with pytest.raises(KeyError):  # for the server, which closes the connection
        await exchange.end()
    assert start is not None
    assert body is not None
    assert (start["status"], b"private" in body["body"]) == (500, False)
    (record,) = [record for record in caplog.records if record.message == "an endpoint failed"]
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "'private'"


async def test_a_path_that_does_not_exist_is_answered_in_the_envelope() -> None:
    answer = await get(app_that_raises(ChasquiError("")), "GET", "/nothing/here")
    assert answer.status == 404
    assert answer.json()["error"] == {
        "message": "There is no endpoint at /nothing/here.",
        "type": "invalid_request_error",
        "param": None,
        "code": "not_found",
    }


async def test_a_method_that_is_not_allowed_is_refused_with_those_that_are() -> None:
    answer = await get(app_that_raises(ChasquiError("")), "POST", "/fails")
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert answer.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(("status", "code"), [(413, "request_too_large"), (415, "unsupported_media_type"), (400, None)])
async def test_what_the_edge_refuses_by_itself_keeps_its_words(status: int, code: str | None) -> None:
    answer = await get(app_that_raises(HTTPException(status, "Not so.")), "GET", "/fails")
    assert answer.status == status
    assert answer.json()["error"] == {
        "message": "Not so.",
        "type": "invalid_request_error",
        "param": None,
        "code": code,
    }


async def test_an_unexpected_exception_is_answered_without_its_words_and_raised_for_the_log() -> None:
    exchange = Exchange(app_that_raises(RuntimeError("a secret")), "GET", "/fails")
    start, body = await exchange.next(), await exchange.next()
    assert start is not None
    assert body is not None
    assert start["status"] == 500
    assert json.loads(body["body"])["error"]["type"] == "server_error"
    assert b"secret" not in body["body"]
    with pytest.raises(RuntimeError, match="a secret"):
        await exchange.end()
