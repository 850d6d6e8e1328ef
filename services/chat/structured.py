"""What the engine's grammar has to enforce: a JSON schema from `response_format`, or the shape of a forced tool call.

llguidance compiles the schema before the engine sees it, and the engine enforces it with the same library: what that
cannot enforce is refused here, by name, and never ignored.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from chasqui.v1 import tool_pb2
from services.errors import InvalidValue, UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chasqui.v1.chat_service_pb2 import ChatRequest

_LARGEST_SCHEMA: Final = 64 * 1024  # characters
_DEEPEST_SCHEMA: Final = 32
_LONGEST_ENUM: Final = 1000
# White space between the tokens of JSON as Python's json writes it, and no more: a weak model could fill its answer
# with white space that a grammar allows.
_LAYOUT: Final = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_LAYOUT_KEY: Final = "x-guidance"
_SCHEMA_PARAM: Final = "response_format.json_schema.schema"


def forced_names(request: ChatRequest) -> frozenset[str]:
    """The tools of which one must be called; empty when no call is forced."""
    choice = request.tool_choice
    if choice.WhichOneof("choice") == "function_name":
        return frozenset({choice.function_name})
    if choice.mode == tool_pb2.TOOL_CHOICE_MODE_REQUIRED:
        return frozenset(tool.function.name for tool in request.tools)
    return frozenset()


def schema_of(request: ChatRequest) -> str | None:
    """The JSON schema that the answer must satisfy, as JSON text for the engine; None if it is free.

    CPU-bound: it belongs into a thread of a pool. InvalidValue or UnsupportedParameter names what is wrong with it.
    """
    names = forced_names(request)
    if names:
        tools = [tool.function for tool in request.tools if tool.function.name in names]
        schemas = [_parse(tool.parameters_json or '{"type": "object"}', "tools") for tool in tools]
        calls = [_call_schema(tool.name, index) for index, tool in enumerate(tools)]
        definitions = {f"tool_{index}": _rebased(schema, index) for index, schema in enumerate(schemas)}
        return _compiled(json.dumps({"anyOf": calls, "$defs": definitions, _LAYOUT_KEY: _LAYOUT}), "tools")
    form = request.response_format
    if form.WhichOneof("format") == "json_object":
        return _compiled(json.dumps({"type": "object", _LAYOUT_KEY: _LAYOUT}), "response_format")
    if form.WhichOneof("format") == "json_schema":
        schema = _parse(form.json_schema.schema_json, _SCHEMA_PARAM)
        return _compiled(json.dumps({**schema, _LAYOUT_KEY: _LAYOUT}), _SCHEMA_PARAM)
    return None


def _call_schema(name: str, index: int) -> dict[str, Any]:
    """A call in Llama 3.1's form."""
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "parameters": {"$ref": f"#/$defs/tool_{index}"}},
        "required": ["name", "parameters"],
        "additionalProperties": False,
    }


def _rebased(value: Any, index: int) -> Any:
    """A tool's schema whose references begin at the tool's place in the whole."""
    if isinstance(value, list):
        return [_rebased(item, index) for item in value]
    if not isinstance(value, dict):
        return value
    rebased = {key: _rebased(item, index) for key, item in value.items()}
    reference = value.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        rebased["$ref"] = f"#/$defs/tool_{index}{reference[1:]}"
    return rebased


def _parse(text: str, param: str) -> dict[str, Any]:
    """A schema within the limits, which keep the time to compile it short."""
    if len(text) > _LARGEST_SCHEMA:
        raise InvalidValue(f"{param}: the schema has more than {_LARGEST_SCHEMA:,} characters.", param=param)
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{param} is not valid JSON: {error}.", param=param) from error
    if not isinstance(schema, dict):
        raise InvalidValue(f"{param} must be a JSON object.", param=param)
    for pointer, node in _nodes(schema, ""):
        if pointer.count("/") > _DEEPEST_SCHEMA:
            raise InvalidValue(f"{param}: the schema is nested more than {_DEEPEST_SCHEMA} deep.", param=param)
        if isinstance(node.get("enum"), list) and len(node["enum"]) > _LONGEST_ENUM:
            raise InvalidValue(f"{param}: {pointer}/enum has more than {_LONGEST_ENUM:,} values.", param=param)
        reference = node.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            raise UnsupportedParameter(f"{param}: {pointer}/$ref leads outside of the schema.", param=param)
    return schema


def _nodes(value: Any, pointer: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in a JSON value with its JSON pointer."""
    if isinstance(value, dict):
        yield pointer, value
        for key, item in value.items():
            yield from _nodes(item, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nodes(item, f"{pointer}/{index}")


def _compiled(schema: str, param: str) -> str:
    problem = _problem(schema)
    if problem:
        where = next((p for p, node in _nodes(json.loads(schema), "") for key in node if f'"{key}"' in problem), None)
        at = f" at {where or '/'}" if where is not None else ""
        raise UnsupportedParameter(f"{param}: the schema cannot be enforced{at}: {problem}.", param=param)
    return schema


@lru_cache(maxsize=256)
def _problem(schema: str) -> str:
    """Why the schema cannot be enforced; empty if it can."""
    from llguidance import LLMatcher  # only calls with a schema need it

    try:
        return LLMatcher.validate_grammar(LLMatcher.grammar_from_json_schema(schema)).strip().rstrip(".")
    except ValueError as error:
        return str(error).strip().rstrip(".")
