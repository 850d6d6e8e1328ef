"""JSON schemas from callers: parsed within limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from services.chat.grammar.normal_form import normal_form
from services.errors import InvalidValue, UnsupportedParameter
from services.json_text import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGEST: Final = 64 * 1024  # characters
_LONGEST_ENUM: Final = 1000


def parse_schema(text: str, param: str) -> dict[str, Any]:
    """A schema within the limits, in normal form; InvalidValue or UnsupportedParameter names `param` and the place."""
    if len(text) > _LARGEST:
        raise InvalidValue(f"{param}: the schema has more than {_LARGEST:,} characters.", param=param)
    if not text:
        raise InvalidValue(f"{param} is missing.", param=param)
    schema = parse_json(text, param)
    if not isinstance(schema, dict):
        raise InvalidValue(f"{param} must be a JSON object.", param=param)
    for pointer, node in _nodes(schema, ""):
        if isinstance(node.get("enum"), list) and len(node["enum"]) > _LONGEST_ENUM:
            raise InvalidValue(f"{param}: {pointer}/enum has more than {_LONGEST_ENUM:,} values.", param=param)
        reference = node.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            raise UnsupportedParameter(f"{param}: {pointer}/$ref leads outside of the schema.", param=param)
    return normal_form(schema)


def _nodes(value: Any, pointer: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in a JSON value with its JSON pointer."""
    if isinstance(value, dict):
        yield pointer, value
        for key, item in value.items():
            yield from _nodes(item, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nodes(item, f"{pointer}/{index}")
