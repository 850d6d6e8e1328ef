"""Our failures as rich gRPC statuses, small enough to arrive."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2

from services.chat.transport.status import status_of
from services.errors import (
    ERROR_DOMAIN,
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

if TYPE_CHECKING:
    from google.rpc import status_pb2

Detail = TypeVar("Detail", bound=Message)

ERRORS = [
    (ChasquiError("No."), "INTERNAL", "INTERNAL"),
    (InvalidValue("No.", param="n"), "INVALID_ARGUMENT", "INVALID_VALUE"),
    (UnsupportedParameter("No.", param="n"), "INVALID_ARGUMENT", "UNSUPPORTED_PARAMETER"),
    (ContextLengthExceeded("No.", param="messages"), "INVALID_ARGUMENT", "CONTEXT_LENGTH_EXCEEDED"),
    (ModelNotFound("No.", param="model"), "NOT_FOUND", "MODEL_NOT_FOUND"),
    (InvalidApiKey("No."), "UNAUTHENTICATED", "INVALID_API_KEY"),
    (DeadlineExceeded("No."), "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
    (Unavailable("No.", reason="DRAINING", retry_after=1.5), "UNAVAILABLE", "DRAINING"),
    (EngineFailed("No."), "INTERNAL", "ENGINE_FAILED"),
]


def _details(status: status_pb2.Status, kind: type[Detail]) -> list[Detail]:
    found = []
    for packed in status.details:
        detail = kind()
        if packed.Unpack(detail):
            found.append(detail)
    return found


@pytest.mark.parametrize("code", Code)
def test_our_codes_have_the_numbers_of_the_standard(code: Code) -> None:
    assert code.value == code_pb2.Code.Value(code.name)


@pytest.mark.parametrize(("error", "code", "reason"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_keeps_its_code_message_reason_and_field(error: ChasquiError, code: str, reason: str) -> None:
    status = status_of(error)
    assert (code_pb2.Code.Name(status.code), status.message) == (code, "No.")
    [info] = _details(status, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == (reason, ERROR_DOMAIN)
    assert dict(info.metadata) == ({"param": error.param} if error.param else {})


@pytest.mark.parametrize(("error", "code", "reason"), ERRORS, ids=lambda value: type(value).__name__)
def test_exactly_an_invalid_field_is_also_a_bad_request(error: ChasquiError, code: str, reason: str) -> None:
    violations = [
        (violation.field, violation.description)
        for request in _details(status_of(error), error_details_pb2.BadRequest)
        for violation in request.field_violations
    ]
    assert violations == ([(error.param, "No.")] if code == "INVALID_ARGUMENT" else [])


def test_an_invalid_request_without_a_field_is_no_bad_request() -> None:
    assert _details(status_of(InvalidValue("No.")), error_details_pb2.BadRequest) == []


@pytest.mark.parametrize(("seconds", "milliseconds"), [(0.0, 0), (1.5, 1500), (1.23456, 1235), (90.0, 90_000)])
def test_the_time_to_wait_is_given_in_milliseconds(seconds: float, milliseconds: int) -> None:
    error = Unavailable("No.", reason="OVERLOADED", retry_after=seconds)
    [retry] = _details(status_of(error), error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToMilliseconds() == milliseconds


def test_an_error_that_is_not_worth_a_retry_says_nothing_of_one() -> None:
    assert _details(status_of(EngineFailed("No.")), error_details_pb2.RetryInfo) == []


def test_a_long_message_is_cut_and_says_so() -> None:
    message = status_of(ModelNotFound("a" * 100_000)).message
    assert message.startswith("aaa")
    assert message.endswith("…")
    assert len(message) < 10_000


@pytest.mark.parametrize("character", ["x", "\n", "é", "世", "🦙"])
@pytest.mark.parametrize("kind", [ModelNotFound, InvalidValue])
def test_a_status_fits_the_8_kib_of_metadata_that_clients_take(kind: type[ChasquiError], character: str) -> None:
    error = kind(character * 5000, param=f"metadata.{character * 5000}")
    status = status_of(error)
    # The message travels percent-encoded, and the whole status beside it in base64; names and ids take some 300 bytes.
    sent = len(quote(status.message)) + len(base64.b64encode(status.SerializeToString()))
    assert sent + 300 < 8192
    assert sum(detail.ByteSize() for detail in status.details) <= 4096
