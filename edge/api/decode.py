"""Decodes the JSON of a request into its struct, one object at a time; pure.

msgspec drops the fields that a struct does not have. Here they are seen: each object is split into its fields, whose
values are then decoded by their types.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from edge.api.fields import Known, Treatment, refuse
from edge.api.json_size import check_json_size
from edge.api.json_text import is_null
from services.errors import InvalidValue
from services.limits import MAX_REQUEST_ITEMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    # The known fields of each struct, by their names.
    FieldTable = Mapping[type[msgspec.Struct], Mapping[str, Known]]

Body = TypeVar("Body", bound=msgspec.Struct)

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_NO_FIELDS: Final[Mapping[str, Known]] = {}
_LONGEST_WORDS: Final = 200  # they may quote the value
_LOCATED: Final = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DecodedRequest(Generic[Body]):
    """A request, and the JSON paths of its unknown fields, sorted."""

    body: Body
    ignored: tuple[str, ...]


def decode_body(kind: type[Body], data: bytes, table: FieldTable) -> DecodedRequest[Body]:
    """The request in `data`; InvalidValue or UnsupportedParameter names the first field that is wrong.

    `table` has the known fields of each struct.

    Types are not converted, but a number without a fraction is an integer however it is written. Of duplicate keys the
    last wins.
    """
    check_json_size(data)
    reader = _Reader(table)
    try:
        body = reader.read_object(kind, data.removeprefix(codecs.BOM_UTF8), "")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidValue(f"The body is not valid JSON: {error}.") from error
    except RecursionError as error:
        raise InvalidValue("The body is nested too deeply.") from error
    return DecodedRequest(body, tuple(sorted(reader.ignored)))


class _Reader:
    """Reads one request. `ignored` are the paths of its unknown fields."""

    def __init__(self, table: FieldTable) -> None:
        self.ignored: set[str] = set()
        self._table = table
        self._items = 0

    def read_object(self, kind: type[Body], data: bytes | msgspec.Raw, path: str) -> Body:
        """The object as that struct."""
        known = self._table.get(kind, _NO_FIELDS)
        fields = _fields(kind)
        values = {}
        where = path
        try:
            for name, raw in _OBJECT.decode(data).items():
                where = f"{path}.{name}" if path else name
                field = fields.get(name)
                if field is None:
                    self._examine(known.get(name), raw, where)
                elif name not in known or not known[name].neutral or not known[name].is_neutral(raw):
                    values[name] = field.decode(raw) if field.is_plain else self._read_nested(field, raw, where)
        except msgspec.ValidationError as error:
            raise _wrong_type(str(error), where) from error
        for name, field in fields.items():
            if field.required and name not in values:
                where = f"{path}.{name}" if path else name
                raise InvalidValue(f"{where}: a required field is missing.", param=where)
        return kind(**values)

    def _examine(self, known: Known | None, raw: msgspec.Raw, path: str) -> None:
        """A field that has no effect: refused, reported or neither."""
        if known is None:
            if not is_null(raw):
                self.ignored.add(path)
        elif known.treatment is Treatment.REFUSED:
            refuse(path, known, raw)
        elif known.treatment is Treatment.REPORTED and not known.is_neutral(raw):
            self.ignored.add(path)

    def _read_nested(self, field: _Field, raw: msgspec.Raw, path: str) -> Any:
        """The value of a field that may hold objects."""
        first = bytes(memoryview(raw)[:1])
        if field.struct is not None and first == b"{":
            return self.read_object(field.struct, raw, path)
        if field.items is not None and first == b"[":
            items = _ARRAY.decode(raw)
            self._items += len(items)
            if self._items > MAX_REQUEST_ITEMS:
                raise InvalidValue(
                    f"{path} has too many items: a request may hold {MAX_REQUEST_ITEMS:,} messages, content parts, "
                    "tools and tool calls in all.",
                    param=path,
                )
            return [self.read_object(field.items, item, f"{path}[{index}]") for index, item in enumerate(items)]
        return field.decode(raw)


def _wrong_type(text: str, path: str) -> InvalidValue:
    """The decoder's message about the value at `path`, with the path of what is wrong in it, such as `stop[1]`."""
    match = _LOCATED.fullmatch(text)
    what, inside = (match["what"], match["path"] or "") if match else (text, "")
    # The decoder does not say which member of a map it means.
    param = path + inside.replace("[...]", "") or None
    words = what if len(what) <= _LONGEST_WORDS else f"{what[:_LONGEST_WORDS]}..."
    return InvalidValue(f"{param or 'The body'}: {words[:1].lower()}{words[1:].replace('`', '')}.", param=param)


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
        name = field.encode_name
        info = msgspec.inspect.type_info(field.type)
        options = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
        lists = (option.item_type for option in options if isinstance(option, msgspec.inspect.ListType))
        struct, items = _struct_among(options), _struct_among(lists)
        fields[name] = _Field(
            partial(_decoded, msgspec.json.Decoder(field.type)),
            field.required,
            struct,
            items,
            struct is None and items is None,
        )
    return fields


def _struct_among(options: Iterable[msgspec.inspect.Type]) -> type[msgspec.Struct] | None:
    return next((option.cls for option in options if isinstance(option, msgspec.inspect.StructType)), None)


def _decoded(decoder: msgspec.json.Decoder[Any], raw: msgspec.Raw) -> Any:
    """The value by the decoder's type, in which an integer may be written as `16.0`; ValidationError otherwise."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        try:
            return msgspec.convert(_with_integers(msgspec.json.decode(raw)), decoder.type)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise error from None


def _with_integers(value: Any) -> Any:
    """The value with an integer for each number without a fraction."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_with_integers(item) for item in value]
    return value
