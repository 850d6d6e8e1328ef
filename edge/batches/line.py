"""The lines of a batch's files: requests in, responses and errors out; pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw, Struct

from edge.api.errors import failure_of
from edge.openai.asked import asked_chat, asked_completion
from edge.openai.envelope import envelope
from edge.responses.asked import asked_response
from services.batches.input_file import LineBody
from services.errors import UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.api.asked import Asked
    from services.batches.record import Line
    from services.errors import ChasquiError

READERS: Final[dict[str, Callable[[bytes], Asked]]] = {
    "/v1/chat/completions": asked_chat,
    "/v1/completions": asked_completion,
    "/v1/responses": asked_response,
}


class _Response(Struct):
    status_code: int
    request_id: str
    body: Raw


class _Error(Struct):
    code: str
    message: str


class _Result(Struct):
    id: str
    custom_id: str
    response: _Response | None
    error: _Error | None


def asked_of(data: bytes, endpoint: str) -> Asked:
    """What a checked line asks for; raises the ChasquiError that names the field of its body that is wrong."""
    line = msgspec.json.decode(data, type=LineBody)
    asked = READERS[endpoint](bytes(line.body))
    if asked.streamed:
        raise UnsupportedParameter("stream is not supported in a batch.", param="stream")
    return asked


def call_id(line: Line, call: int) -> str:
    """The id of a call of a line, whichever runner makes it and however often: it is in the ledger once."""
    return hashlib.sha256(f"{line.batch}/{line.number}/{call}".encode()).hexdigest()[:32]


def request_id(line: Line) -> str:
    """The request id of a line's calls."""
    return f"{line.batch}-{line.number}"


def answered(line: Line, body: bytes) -> str:
    """The line of the output file."""
    return _result(line, _Response(200, request_id(line), Raw(body)), None)


def refused(line: Line, error: ChasquiError) -> str:
    """The line of the error file for a call that was answered with an error."""
    failure = failure_of(error)
    return _result(line, _Response(failure.status, request_id(line), Raw(envelope(failure))), None)


def unanswered(line: Line, code: str, message: str) -> str:
    """The line of the error file for a call that was not made."""
    return _result(line, None, _Error(code, message))


def _result(line: Line, response: _Response | None, error: _Error | None) -> str:
    result = _Result(f"batch_req_{call_id(line, 0)}", line.custom_id, response, error)
    return msgspec.json.encode(result).decode()
