"""Schemas as the grammar compiler gets them: objects are closed, and what changes nothing is gone."""

from __future__ import annotations

from typing import Any

import pytest

from services.chat.grammar.normal_form import children, normal_form

A = {"a": {"type": "string"}}
B = {"b": {"type": "string"}}


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    return schema | {"additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "form"),
    [
        ({"type": "object", "properties": A}, closed({"type": "object", "properties": A})),
        ({"properties": A}, closed({"properties": A})),
        ({"type": "object", "properties": {}}, closed({"type": "object", "properties": {}})),
        ({"type": ["object", "null"], "properties": A}, closed({"type": ["object", "null"], "properties": A})),
        ({"items": {"properties": A}}, {"items": closed({"properties": A})}),
        (
            {"anyOf": [{"properties": A}, {"properties": B}]},
            {"anyOf": [closed({"properties": A}), closed({"properties": B})]},
        ),
        ({"allOf": [{"properties": A}]}, {"allOf": [closed({"properties": A})]}),
        (
            {"$ref": "#/$defs/x", "$defs": {"x": {"properties": A}}},
            {"$ref": "#/$defs/x", "$defs": {"x": closed({"properties": A})}},
        ),
        ({"patternProperties": {"^a": {}}}, closed({"patternProperties": {"^a": {}}})),
    ],
    ids=[
        "object",
        "no type",
        "no properties",
        "nullable",
        "items",
        "alternatives",
        "one of all",
        "a definition",
        "patterns",
    ],
)
def test_an_object_is_closed_where_nothing_is_said(schema: dict[str, Any], form: dict[str, Any]) -> None:
    assert normal_form(schema) == form


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": A, "additionalProperties": True},
        {"type": "object", "properties": A, "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": A, "required": ["a", "z"]},
        {"allOf": [{"properties": A}, {"properties": B}]},
        {"properties": A, "anyOf": [{"properties": B}, {"required": ["a"]}]},
        {"properties": A, "$ref": "#/$defs/x", "$defs": {"x": {"properties": B}}},
        {"allOf": [{"$ref": "#/$defs/x"}, {"properties": A}], "$defs": {"x": {"properties": B}}},
        {"if": {"properties": A}, "then": {"properties": B}},
        {"not": {"properties": A}},
        {"const": {"properties": A}, "default": None},
        {"enum": [{"properties": A}, None]},
    ],
    ids=lambda schema: str(schema)[:60],
)
def test_an_object_stays_open_where_the_schema_says_so_or_it_is_a_part_of_another(schema: dict[str, Any]) -> None:
    assert normal_form(schema) == schema


@pytest.mark.parametrize(
    ("schema", "form"),
    [
        ({"type": "array", "uniqueItems": False}, {"type": "array"}),
        ({"type": "object", "propertyNames": {"type": "string"}}, {"type": "object"}),
        ({"type": "object", "required": None, "description": None}, {"type": "object"}),
        ({"type": "string", "maxLength": 5.0}, {"type": "string", "maxLength": 5}),
        ({"type": "string", "format": "password"}, {"type": "string"}),
        ({"type": "string", "format": "uri", "pattern": "^h"}, {"type": "string", "pattern": "^h"}),
    ],
)
def test_what_changes_nothing_is_left_out(schema: dict[str, Any], form: dict[str, Any]) -> None:
    assert normal_form(schema) == form


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "uniqueItems": True},
        {"type": "object", "propertyNames": {"pattern": "^a"}},
        {"type": "string", "maxLength": 5.5},
        {"type": "string", "format": "colour"},
    ],
)
def test_what_changes_something_stays(schema: dict[str, Any]) -> None:
    assert normal_form(schema) == schema


def test_the_children_of_a_schema_have_their_places_definitions_first() -> None:
    schema = {"properties": {"a/b": {}}, "anyOf": [{}, {}], "items": {}, "$defs": {"x": {}}, "const": {"items": {}}}
    assert [pointer for pointer, _ in children(schema)] == [
        "/$defs/x",
        "/properties/a~1b",
        "/anyOf/0",
        "/anyOf/1",
        "/items",
    ]
