"""Parses the messages of RPCs: large ones off the event loop, and only if they have few enough fields.

Millions of empty fields fit into a few megabytes. The parser would hold the interpreter for all of them, in whatever
thread it runs; counting them first holds it for a switch interval at a time.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from services.errors import InvalidValue
from services.limits import MAX_MESSAGE_FIELDS
from services.low_priority import low_priority_threads

if TYPE_CHECKING:
    from google.protobuf.message import Message

# Of a message that is parsed on the event loop, in less than 2 ms whatever is in it.
_SMALL_BYTES: Final = 32 * 1024
# Wire types of protobuf's encoding: https://protobuf.dev/programming-guides/encoding/
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class MessageParser:
    """Owns the thread in which large messages are parsed, one at a time."""

    def __init__(self) -> None:
        self._thread = low_priority_threads(1, "parse", need_gil=True)

    async def parse(self, data: bytes, kind: type[Message]) -> Message:
        """InvalidValue for bytes that are not a message of this kind, and for one with too many fields."""
        if len(data) <= _SMALL_BYTES:
            return _parse(data, kind)
        return await asyncio.get_running_loop().run_in_executor(self._thread, _parse_counted, data, kind)


def _parse_counted(data: bytes, kind: type[Message]) -> Message:
    if _has_more_fields(data, kind.DESCRIPTOR, MAX_MESSAGE_FIELDS):
        raise InvalidValue(f"The request has more than {MAX_MESSAGE_FIELDS:,} fields.")
    return _parse(data, kind)


def _parse(data: bytes, kind: type[Message]) -> Message:
    try:
        return kind.FromString(data)
    except DecodeError:
        raise InvalidValue("The request is not a message of this method.") from None


def _has_more_fields(data: bytes, kind: Any, most: int) -> bool:
    """Whether a serialized message has more than `most` fields, those of the messages in it included.

    `kind` is its descriptor. A packed field is one. Bytes that are not a message are for the parser to refuse.
    """
    left = most
    messages = [(0, len(data), kind)]
    try:
        while messages:
            at, end, kind = messages.pop()
            inside = _messages_inside(kind)
            while at < end:
                left -= 1
                if left < 0:
                    return True
                # Without a call for the tags and lengths of one byte that nearly all have.
                tag = data[at]
                at += 1
                if tag >= 0x80:
                    tag, at = _varint(data, at - 1)
                if tag & 7 == _BYTES and data[at] < 0x80:
                    size = data[at]
                    at += 1
                else:
                    size, at = _size(data, at, tag & 7)
                if size and tag in inside:
                    messages.append((at, at + size, inside[tag]))
                at += size
    except (IndexError, DecodeError):
        pass
    return False


@cache
def _messages_inside(kind: Any) -> dict[int, Any]:
    """The descriptors of the messages that are fields of a message, by the tags that such fields begin with."""
    return {field.number << 3 | _BYTES: field.message_type for field in kind.fields if field.message_type is not None}


def _size(data: bytes, at: int, wire_type: int) -> tuple[int, int]:
    """The size of a field's value, and where it begins; DecodeError for a wire type that we do not send."""
    if wire_type == _BYTES:
        return _varint(data, at)
    if wire_type == _VARINT:
        return 0, _varint(data, at)[1]
    if wire_type in {_FIXED64, _FIXED32}:
        return (8 if wire_type == _FIXED64 else 4), at
    raise DecodeError


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The integer that begins there, and where it ends; IndexError if the data does before."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
