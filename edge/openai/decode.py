"""Decodes the JSON of a request into its struct; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

import msgspec

from edge.openai.fields import unknown_fields
from edge.openai.schema import ChatCompletionRequest
from services.errors import InvalidValue

Body = TypeVar("Body", bound=msgspec.Struct)

_LOCATED = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>.*)`")


@dataclass(frozen=True, slots=True)
class DecodedRequest(Generic[Body]):
    """A request, and the JSON paths of those of its fields that nobody knows."""

    body: Body
    ignored: tuple[str, ...]


def decode_chat_request(data: bytes) -> DecodedRequest[ChatCompletionRequest]:
    """The chat completion request in `data`; errors are those of `decode_request`."""
    return decode_request(ChatCompletionRequest, data)


def decode_request(kind: type[Body], data: bytes) -> DecodedRequest[Body]:
    """The request in `data`; InvalidValue or UnsupportedParameter names the field that is wrong.

    Types are not coerced, and of duplicate keys the last wins.
    """
    try:
        return DecodedRequest(_decoder(kind).decode(data), unknown_fields(kind, data))
    except msgspec.ValidationError as error:
        raise _invalid_field(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidValue(f"The body is not valid JSON: {error}.") from error
    except RecursionError as error:
        raise InvalidValue("The body is nested too deeply.") from error


@cache
def _decoder(kind: type[Body]) -> msgspec.json.Decoder[Body]:
    return msgspec.json.Decoder(kind)


def _invalid_field(text: str) -> InvalidValue:
    """The decoder's words, with its location as the path of a field: `$.messages[0].role` -> `messages[0].role`."""
    match = _LOCATED.fullmatch(text)
    what, path = (match["what"], match["path"] or "") if match else (text, "")
    missing = _MISSING.fullmatch(what)
    if missing:
        path = f"{path}.{missing['field']}"
        what = "a required field is missing"
    # The decoder does not say which member of a map it means.
    param = path.removeprefix(".").replace("[...]", "") or None
    where = param or "The body"
    return InvalidValue(f"{where}: {what[:1].lower()}{what[1:].replace('`', '')}.", param=param)
