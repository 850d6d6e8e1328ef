"""Rewrites a JSON schema so that the grammar compiler takes it: neutral keywords go, and objects are closed; pure.

An object without `additionalProperties` is closed, as structured output has it elsewhere: JSON Schema leaves it open,
and a model would fill an open object with whatever it likes. Objects whose properties are spread over several schemas
stay as they are, because closing one of those would forbid the properties of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    Schema = dict[str, Any]

# Keywords whose value is a schema, a list of schemas, or schemas by name.
_ONE: Final = frozenset({"additionalProperties", "contains", "items", "propertyNames"})
_LIST: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems", "items"})
_NAMED: Final = ("$defs", "definitions", "properties", "patternProperties")
# Those that add constraints, and perhaps properties, to an object beside its own.
_ADDING: Final = frozenset({"$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas"})
_COUNTS: Final = frozenset({"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"})
# Keywords in which null is a value like any other.
_ANY_VALUE: Final = frozenset({"const", "default"})
# What the compiler does not know of the formats of JSON Schema and OpenAPI, as patterns; "" for those that constrain
# nothing. URIs as in RFC 3986: a scheme, and characters that may stand in one.
_FORMATS: Final = {
    "uri": r"^[A-Za-z][A-Za-z0-9+.\-]*:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+$",
    "uri-reference": r"^[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*$",
    "byte": r"^[A-Za-z0-9+/]*={0,2}$",
    "binary": "",
    "password": "",
}


def normal_form(schema: Schema) -> Schema:
    """The schema, with every object closed that does not say otherwise; JSON pointers into it stay valid."""
    form: Schema = _NormalForm(schema).of(schema, closes=True)
    return form


def children(schema: Any) -> Iterator[tuple[str, Any]]:
    """The schemas directly inside a schema, definitions first, each with its JSON pointer from there."""
    if not isinstance(schema, dict):
        return
    for keyword in _NAMED:
        named = schema.get(keyword)
        if isinstance(named, dict):
            for name, inner in named.items():
                yield f"/{keyword}/{name.replace('~', '~0').replace('/', '~1')}", inner
    for keyword, value in schema.items():
        if keyword in _LIST and isinstance(value, list):
            for index, inner in enumerate(value):
                yield f"/{keyword}/{index}", inner
        elif keyword in _ONE:
            yield f"/{keyword}", value


class _NormalForm:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._open: set[str] = set()  # pointers of definitions that are parts of other objects
        self._find_open(root, closes=True)

    def of(self, node: Any, *, closes: bool, pointer: str = "") -> Any:
        """A schema in normal form; with `closes` it is the whole of an object, if it is an object at all."""
        if not isinstance(node, dict):
            return node
        closes = closes and pointer not in self._open
        made: Schema = {}
        for keyword, value in node.items():
            if value is None and keyword not in _ANY_VALUE:
                continue
            if _is_neutral(keyword, value):
                continue
            if keyword == "format" and value in _FORMATS:
                if _FORMATS[value] and "pattern" not in node:
                    made["pattern"] = _FORMATS[value]
                continue
            made[keyword] = self._value(node, keyword, value, closes)
        if closes and _is_whole_object(made):
            made["additionalProperties"] = False
        return made

    def _value(self, node: Schema, keyword: str, value: Any, closes: bool) -> Any:
        if keyword in _COUNTS and isinstance(value, float) and value.is_integer():
            return int(value)
        if keyword in _NAMED and isinstance(value, dict):
            return {name: self.of(inner, closes=True, pointer=f"#/{keyword}/{name}") for name, inner in value.items()}
        if keyword in _LIST and isinstance(value, list):
            whole = _branches_are_whole(node, keyword, closes)
            return [self.of(inner, closes=whole) for inner in value]
        return self.of(value, closes=True) if keyword in _ONE else value

    def _find_open(self, node: Any, *, closes: bool) -> None:
        """Remember the definitions that a schema refers to as a part of an object."""
        if not isinstance(node, dict):
            return
        reference = node.get("$ref")
        if isinstance(reference, str) and (not closes or "properties" in node) and reference not in self._open:
            self._open.add(reference)
            name = reference.removeprefix("#/").partition("/")
            named = self._root.get(name[0])
            self._find_open(named.get(name[2]) if isinstance(named, dict) else None, closes=False)
        for pointer, inner in children(node):
            keyword = pointer.split("/")[1]
            whole = _branches_are_whole(node, keyword, closes) if isinstance(node.get(keyword), list) else True
            self._find_open(inner, closes=whole)


def _branches_are_whole(node: Schema, keyword: str, closes: bool) -> bool:
    """Whether each branch is an object of its own: not beside properties, nor one of several that all apply."""
    if keyword == "allOf":
        return closes and "properties" not in node and len(node["allOf"]) == 1
    return closes and ("properties" not in node or keyword in {"prefixItems", "items"})


def _is_whole_object(node: Schema) -> bool:
    """Whether a schema names all properties of an object, and says nothing of others."""
    kind, properties, required = node.get("type", "object"), node.get("properties"), node.get("required", [])
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        return False
    if "additionalProperties" in node or "unevaluatedProperties" in node or node.keys() & _ADDING:
        return False
    if "patternProperties" in node:
        return True
    return isinstance(properties, dict) and isinstance(required, list) and set(map(str, required)) <= properties.keys()


def _is_neutral(keyword: str, value: Any) -> bool:
    """Whether a keyword that the compiler does not know allows everything in this form."""
    if keyword == "uniqueItems":
        return value is False
    if keyword == "propertyNames":
        return value is True or value in ({}, {"type": "string"})
    return keyword in {"dependentRequired", "dependentSchemas"} and value == {}
