"""The lines of a batch's files: requests in, responses and errors out; pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw, Struct, field

from edge.api.errors import failure_of
from edge.openai.asked import asked_chat, asked_completion
from edge.openai.envelope import envelope
from edge.responses.asked import asked_response
from services.batches.record import Line, LineError
from services.errors import ChasquiError, UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from edge.api.asked import Asked

MOST_LINES: Final = 50_000
MOST_LINE_BYTES: Final = 8 * 1024 * 1024
_LONGEST_ID: Final = 512
ENDPOINTS: Final[dict[str, Callable[[bytes], Asked]]] = {
    "/v1/chat/completions": asked_chat,
    "/v1/completions": asked_completion,
    "/v1/responses": asked_response,
}


class LineBody(Struct):
    """A line of an input file."""

    custom_id: str
    method: str
    url: str
    body: Raw = field(default_factory=lambda: Raw(b"null"))


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


class WrongLineError(Exception):
    """A line of an input file is wrong."""

    def __init__(self, error: LineError) -> None:
        super().__init__(error.message)
        self.error = error


def read_lines(batch: str, source: Iterable[bytes], endpoint: str | None = None) -> Iterator[Line | WrongLineError]:
    """The lines of an input file that are not blank, each checked; the file itself may be what is wrong.

    Without `endpoint` each line may be for any of `ENDPOINTS`.
    """
    seen: dict[bytes, int] = {}
    offset = number = 0
    for count, data in enumerate(source, 1):
        start, offset = offset, offset + len(data)
        if not data.strip():
            continue
        number += 1
        if number > MOST_LINES:
            yield _wrong("too_many_lines", f"The file has more than {MOST_LINES:,} lines.", None)
            return
        try:
            line = _line(data, count, endpoint)
            digest = hashlib.blake2b(line.custom_id.encode(errors="surrogatepass"), digest_size=16).digest()
            if digest in seen:
                words = f"Line {count}: the custom_id is that of line {seen[digest]}, but must be unique."
                raise _wrong("duplicate_custom_id", words, count, "custom_id")
        except WrongLineError as error:
            yield error
            continue
        seen[digest] = count
        yield Line(batch, count, line.custom_id, start, len(data))
    if not number:
        yield _wrong("empty_file", "The file has no lines.", None)


def _line(data: bytes, number: int, endpoint: str | None) -> LineBody:
    if len(data) > MOST_LINE_BYTES:
        raise _wrong("line_too_large", f"Line {number} is larger than {MOST_LINE_BYTES:,} bytes.", number)
    try:
        line = msgspec.json.decode(data, type=LineBody)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _wrong("invalid_json_line", f"Line {number} cannot be read: {error}.", number) from None
    if not line.custom_id or len(line.custom_id) > _LONGEST_ID:
        words = f"Line {number}: custom_id must have 1 to {_LONGEST_ID} characters."
        raise _wrong("invalid_custom_id", words, number, "custom_id")
    if line.method != "POST":
        raise _wrong("invalid_method", f"Line {number}: method must be POST.", number, "method")
    if line.url not in ENDPOINTS if endpoint is None else line.url != endpoint:
        words = f"one of {', '.join(ENDPOINTS)}" if endpoint is None else f"{endpoint}, as the batch says"
        raise _wrong("invalid_url", f"Line {number}: url must be {words}.", number, "url")
    if not bytes(memoryview(line.body)).lstrip().startswith(b"{"):
        raise _wrong("invalid_body", f"Line {number}: body must be an object.", number, "body")
    return line


def asked_of(data: bytes, endpoint: str) -> Asked:
    """What a checked line asks for; raises the ChasquiError that names the field of its body that is wrong."""
    line = msgspec.json.decode(data, type=LineBody)
    asked = ENDPOINTS[endpoint](bytes(line.body))
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


def _wrong(code: str, message: str, line: int | None, param: str | None = None) -> WrongLineError:
    return WrongLineError(LineError(code, message, line, param))


def first_error(lines: Iterable[Any]) -> WrongLineError | None:
    """The first line that is wrong."""
    return next((line for line in lines if isinstance(line, WrongLineError)), None)
