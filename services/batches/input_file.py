"""The lines of a batch's input file, each checked; pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw, Struct, field

from services.batches.record import Line, LineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Where the lines of a batch may go.
ENDPOINTS: Final = ("/v1/chat/completions", "/v1/completions", "/v1/responses")
MOST_LINES: Final = 50_000
MOST_LINE_BYTES: Final = 8 * 1024 * 1024
_LONGEST_ID: Final = 512


class LineBody(Struct):
    """A line of an input file."""

    custom_id: str
    method: str
    url: str
    body: Raw = field(default_factory=lambda: Raw(b"null"))


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


def first_error(source: Iterable[bytes]) -> LineError | None:
    """What is wrong with the first line that is, or with the file."""
    return next((line.error for line in read_lines("", source) if isinstance(line, WrongLineError)), None)


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


def _wrong(code: str, message: str, line: int | None, param: str | None = None) -> WrongLineError:
    return WrongLineError(LineError(code, message, line, param))
