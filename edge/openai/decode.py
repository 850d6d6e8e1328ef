"""Decodes the JSON of a request into its struct, one object at a time; pure.

msgspec drops the fields that a struct does not have. Here they are seen: each object is split into its fields, whose
values are then decoded by their types.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from edge.openai.fields import RULES, Rules, refuse_unless_neutral
from edge.openai.request_schema import ChatCompletionRequest
from services.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Body = TypeVar("Body", bound=msgspec.Struct)

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_NO_RULES: Final = Rules()
_LOCATED: Final = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DecodedRequest(Generic[Body]):
    """A request, and the JSON paths of its unknown fields, sorted."""

    body: Body
    ignored: tuple[str, ...]


def decode_chat_request(data: bytes) -> DecodedRequest[ChatCompletionRequest]:
    """The chat completion request in `data`; raises what `decode_request` raises."""
    return decode_request(ChatCompletionRequest, data)


def decode_request(kind: type[Body], data: bytes) -> DecodedRequest[Body]:
    """The request in `data`; InvalidValue or UnsupportedParameter names the first field that is wrong.

    Types are not coerced. Of duplicate keys the last wins.
    """
    ignored: set[str] = set()
    try:
        body = _read_object(kind, data, "", ignored)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidValue(f"The body is not valid JSON: {error}.") from error
    except RecursionError as error:
        raise InvalidValue("The body is nested too deeply.") from error
    return DecodedRequest(body, tuple(sorted(ignored)))


def _read_object(kind: type[Body], data: bytes | msgspec.Raw, path: str, ignored: set[str]) -> Body:
    """The object as that struct; adds the paths of unknown fields to `ignored`."""
    fields = _fields(kind)
    rules = RULES.get(kind, _NO_RULES)
    values = {}
    where = path
    try:
        for name, raw in _OBJECT.decode(data).items():
            where = f"{path}.{name}" if path else name
            field = fields.get(name)
            if field is not None:
                values[name] = field.decode(raw) if field.is_plain else _read_nested(field, raw, where, ignored)
            elif name in rules.unsupported:
                refuse_unless_neutral(name, where, raw, rules.unsupported[name])
            elif name not in rules.without_effect:
                ignored.add(where)
    except msgspec.ValidationError as error:
        raise _wrong_type(str(error), where) from error
    for name, field in fields.items():
        if field.required and name not in values:
            where = f"{path}.{name}" if path else name
            raise InvalidValue(f"{where}: a required field is missing.", param=where)
    return kind(**values)


def _read_nested(field: _Field, raw: msgspec.Raw, path: str, ignored: set[str]) -> Any:
    """The value of a field that may hold objects."""
    first = bytes(memoryview(raw)[:1])
    if field.struct is not None and first == b"{":
        return _read_object(field.struct, raw, path, ignored)
    if field.items is not None and first == b"[":
        items = _ARRAY.decode(raw)
        return [_read_object(field.items, item, f"{path}[{index}]", ignored) for index, item in enumerate(items)]
    return field.decode(raw)


def _wrong_type(text: str, path: str) -> InvalidValue:
    """The decoder's message about the value at `path`, with the path of what is wrong in it, such as `stop[1]`."""
    match = _LOCATED.fullmatch(text)
    what, inside = (match["what"], match["path"] or "") if match else (text, "")
    # The decoder does not say which member of a map it means.
    param = path + inside.replace("[...]", "") or None
    return InvalidValue(f"{param or 'The body'}: {what[:1].lower()}{what[1:].replace('`', '')}.", param=param)


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a struct, and the struct that its value, or each item of it, is read as if it is an object."""

    decode: Callable[[msgspec.Raw], Any]
    required: bool
    struct: type[msgspec.Struct] | None
    items: type[msgspec.Struct] | None
    is_plain: bool  # neither


@cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, _Field]:
    fields = {}
    for field in msgspec.structs.fields(kind):
        info = msgspec.inspect.type_info(field.type)
        options = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
        lists = (option.item_type for option in options if isinstance(option, msgspec.inspect.ListType))
        struct, items = _struct_among(options), _struct_among(lists)
        decode = msgspec.json.Decoder(field.type).decode
        fields[field.encode_name] = _Field(decode, field.required, struct, items, struct is None and items is None)
    return fields


def _struct_among(options: Iterable[msgspec.inspect.Type]) -> type[msgspec.Struct] | None:
    return next((option.cls for option in options if isinstance(option, msgspec.inspect.StructType)), None)
