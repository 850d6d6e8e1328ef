"""Random JSON schemas of the kinds that programs send, from a seed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def random_schema(seed: int) -> dict[str, Any]:
    """A schema; most of them can be satisfied by short answers."""
    source = random.Random(seed)  # noqa: S311 - test data
    schema = _schema(source, 3)
    if source.random() < 0.3:
        schema = {
            "type": "object",
            "properties": {"first": {"$ref": "#/$defs/one"}, "second": {"$ref": "#/$defs/one"}},
            "required": ["first"],
            "additionalProperties": False,
            "$defs": {"one": schema},
        }
    return schema


def _schema(source: random.Random, depth: int) -> dict[str, Any]:
    makers: list[Callable[[random.Random, int], dict[str, Any]]] = [_string, _number, _choice, _plain]
    if depth:
        makers += [_object, _array, _any]
    return source.choice(makers)(source, depth - 1)


def _string(source: random.Random, _: int) -> dict[str, Any]:
    return {"type": "string"} | source.choice(
        [
            {"maxLength": source.randint(0, 9)},
            {"minLength": 2, "maxLength": 5},
            {"pattern": source.choice(["^[a-z]{1,4}$", "^(ab|cd)+$", "^[0-9]{2}:[0-9]{2}$"])},
            {"format": source.choice(["date", "time", "date-time", "uuid", "ipv4", "email"])},
        ]
    )


def _number(source: random.Random, _: int) -> dict[str, Any]:
    low = source.randint(-20, 20)
    bounds: dict[str, Any] = {"minimum": low, "maximum": low + source.randint(0, 50)}
    return {"type": source.choice(["integer", "integer", "number"]), **bounds}


def _choice(source: random.Random, _: int) -> dict[str, Any]:
    values = source.sample([1, 2.5, "a", 'ä "quoted" 🦙', True, None, [1, 2], {"k": "v"}], source.randint(1, 4))
    return {"enum": values} if source.random() < 0.7 else {"const": values[0]}


def _plain(source: random.Random, _: int) -> dict[str, Any]:
    return {"type": source.choice(["boolean", "null", ["boolean", "null"]])}


def _object(source: random.Random, depth: int) -> dict[str, Any]:
    names = source.sample(["a", "b c", "ü", "$x", "type", "long_name_of_a_property"], source.randint(0, 4))
    return {
        "type": "object",
        "properties": {name: _schema(source, depth) for name in names},
        "required": source.sample(names, source.randint(0, len(names))),
        "additionalProperties": False,
    }


def _array(source: random.Random, depth: int) -> dict[str, Any]:
    low = source.randint(0, 2)
    return {"type": "array", "items": _schema(source, depth), "minItems": low, "maxItems": low + source.randint(0, 2)}


def _any(source: random.Random, depth: int) -> dict[str, Any]:
    return {"anyOf": [_schema(source, depth) for _ in range(source.randint(1, 3))]}
