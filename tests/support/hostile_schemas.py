"""Schemas that cost far more than their size suggests, each within the limits on size, depth and enums."""

from __future__ import annotations

from typing import Any, Final


def _nested(key: str, depth: int, leaf: dict[str, Any]) -> dict[str, Any]:
    """2^depth leaves if nothing looks at equal ones once."""
    schema = leaf
    for _ in range(depth):
        schema = {key: [schema, schema]}
    return schema


def _doubled(depth: int, leaf: dict[str, Any]) -> dict[str, Any]:
    """An object of 2^depth leaves, all of them required: as long a text as one pleases without any choice in it."""
    pair = {"type": "object", "required": ["a", "b"], "additionalProperties": False}
    definitions: dict[str, Any] = {"d0": leaf}
    for level in range(1, depth + 1):
        inner = {"$ref": f"#/$defs/d{level - 1}"}
        definitions[f"d{level}"] = pair | {"properties": {"a": inner, "b": inner}}
    return {"$ref": f"#/$defs/d{depth}", "$defs": definitions}


def _pattern(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern}


HOSTILE_SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "recursion without an end": {"$ref": "#"},
    "recursion beside itself": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    "recursion in allOf": {"allOf": [{"$ref": "#"}, {"type": "object"}]},
    "recursive arrays, ambiguous": {
        "$defs": {
            "a": {"anyOf": [{"type": "array", "items": {"$ref": f"#/$defs/{name}"}} for name in "ab"]},
            "b": {"anyOf": [{"type": "array", "items": {"$ref": f"#/$defs/{name}"}} for name in "ba"]},
        },
        "$ref": "#/$defs/a",
    },
    "anyOf, 2^10": _nested("anyOf", 10, {"type": "string"}),
    "allOf, 2^10": _nested("allOf", 10, {"type": "object"}),
    "allOf of anyOf, 2^20": {
        "allOf": [{"anyOf": [{"properties": {f"{i}-{j}": {"type": "null"}}} for j in range(2)]} for i in range(20)]
    },
    "forced text, 2^12": _doubled(12, {"const": "x"}),
    "forced text, 2^25": _doubled(25, {"const": "x"}),
    "forced text behind a choice": _doubled(12, {"const": "x"})
    | {"anyOf": [{"type": "boolean"}, {"$ref": "#/$defs/d12"}], "$ref": "#/$defs/d11"},
    "a long constant": {"const": "x" * 60_000},
    "a large enum": {"enum": [f"{i:060}" for i in range(1000)]},
    "multipleOf a large prime": {"type": "integer", "multipleOf": 999_983},
    "multipleOf several primes": {"allOf": [{"type": "integer", "multipleOf": n} for n in (9973, 9967, 9949, 9941)]},
    "300 times multipleOf": {"type": "object", "properties": {f"{n}": {"multipleOf": 900 + n} for n in range(300)}},
    "multipleOf within bounds": {"type": "integer", "multipleOf": 997, "minimum": -(10**15), "maximum": 10**15},
    "maxLength 2^31": {"type": "string", "maxLength": 2**31},
    "minLength 2^31": {"type": "string", "minLength": 2**31},
    "maxLength 2^40": {"type": "string", "maxLength": 2**40},
    "maxItems 10^8": {"type": "array", "maxItems": 10**8},
    "minItems 10^8": {"type": "array", "items": {"const": 1}, "minItems": 10**8},
    "1,000 optional properties": {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(1000)}},
    "1,000 properties at least": {"type": "object", "minProperties": 1000},
    "catastrophic backtracking": _pattern("^((a+)+)+b$"),
    "a pattern of 2^200 states": _pattern("^[ab]*a[ab]{200}$"),
    "a pattern of 2^600 states": _pattern("^(.*a.{500}|.*b.{600}|.*c.{700})$"),
    "a repetition of 10^9": _pattern("^a{1000000000}$"),
    "repetitions of repetitions": _pattern("^((a{100}){100}){100}$"),
    "optional repetitions of repetitions": _pattern("^((a{0,100}){0,100}){0,100}$"),
    "1,000 optional letters": _pattern("^" + "a?" * 1000 + "a{1000}$"),
    "500 brackets": _pattern("(" * 500 + "a" + ")" * 500),
    "large classes": _pattern(r"^(\p{L}|\p{N}|\p{S}){0,5000}$"),
    "the intersection of patterns": {"allOf": [_pattern(f"^.*{letter}.{{40}}$") for letter in "abc"]},
    "a choice of 200 patterns": {"anyOf": [_pattern(f"^.*a.{{{100 + n}}}b{{{n}}}$") for n in range(200)]},
    "200 formats with lengths": {
        "anyOf": [
            {"type": "string", "format": form, "maxLength": 500 + n}
            for n in range(50)
            for form in ("date-time", "email", "ipv6", "hostname")
        ]
    },
}
