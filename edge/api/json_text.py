"""JSON that a request carries verbatim, and input that error messages quote; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from services.errors import InvalidValue

if TYPE_CHECKING:
    from msgspec import Raw

_LONGEST_QUOTED: Final = 40
_TEXT: Final = msgspec.json.Decoder(str)


def verbatim(raw: Raw, param: str) -> str:
    """The JSON text; empty for null and absent. InvalidValue, naming the field, if it is not UTF-8."""
    try:
        text = bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{param} is not valid UTF-8.", param=param) from error
    return "" if text == "null" else text


def is_null(raw: Raw) -> bool:
    """Whether the JSON text is null."""
    view = memoryview(raw)
    return len(view) == 4 and bytes(view) == b"null"


def text_or_json(raw: Raw, param: str) -> str:
    """The text in a JSON string, or the text of a JSON object; InvalidValue, naming the field, for anything else."""
    first = bytes(memoryview(raw)[:1])
    if first == b'"':
        return _TEXT.decode(raw)
    if first == b"{" or is_null(raw):
        return verbatim(raw, param)
    raise InvalidValue(f"{param}: expected a text or an object.", param=param)


def quoted(text: str) -> str:
    """A caller's text for an error message: its beginning, in quotation marks."""
    return repr(text) if len(text) <= _LONGEST_QUOTED else f"{text[:_LONGEST_QUOTED]!r}..."
