"""What the engine's grammar has to enforce: a JSON schema from `response_format`, or the form of tool calls.

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
# Prose is free but for lines that begin with a brace; a call begins where the answer or a line does.
_PROSE_OR_CALLS: Final = r"""start: PROSE | LINES? call (SEPARATOR call)*
PROSE: /[ \t]*[^{\s][^\n]*(\n+([ \t]*[^{\s][^\n]*)?)*/
LINES: /([ \t]*[^{\s][^\n]*\n+)+/
SEPARATOR: /(; ?|\n)/"""


def forced_names(request: ChatRequest) -> frozenset[str]:
    """The tools of which one must be called; empty when no call is forced."""
    choice = request.tool_choice
    if choice.WhichOneof("choice") == "function_name":
        return frozenset({choice.function_name})
    if choice.mode == tool_pb2.TOOL_CHOICE_MODE_REQUIRED:
        return frozenset(tool.function.name for tool in request.tools)
    return frozenset()


def strict_names(request: ChatRequest) -> frozenset[str]:
    """The tools whose arguments must satisfy their schema whenever they are called."""
    return frozenset(tool.function.name for tool in request.tools if tool.function.strict)


def grammar_of(request: ChatRequest) -> str | None:
    """The grammar that the answer must follow, in llguidance's form of Lark; None if the answer is free.

    CPU-bound: it belongs into a thread of a pool. InvalidValue or UnsupportedParameter names what is wrong with a
    schema.
    """
    forced, strict = forced_names(request), strict_names(request)
    if forced:
        return _calls_grammar(request, "start: call", forced, constrained=forced)
    if strict and request.tool_choice.mode != tool_pb2.TOOL_CHOICE_MODE_NONE:
        names = frozenset(tool.function.name for tool in request.tools)
        return _calls_grammar(request, _PROSE_OR_CALLS, names, constrained=strict)
    form = request.response_format
    if form.WhichOneof("format") == "json_object":
        return _json_rule("start", {"type": "object"}, "response_format")
    if form.WhichOneof("format") == "json_schema":
        return _json_rule("start", _parse(form.json_schema.schema_json, _SCHEMA_PARAM), _SCHEMA_PARAM)
    return None


def _calls_grammar(request: ChatRequest, start: str, names: frozenset[str], *, constrained: frozenset[str]) -> str:
    """Calls of the named tools in Llama 3.1's form; arguments of those not `constrained` are any object."""
    rules, calls = [start], []
    for index, tool in enumerate(tool.function for tool in request.tools):
        if tool.name not in names:
            continue
        param = f"tools[{index}].function.parameters"
        schema = _parse(tool.parameters_json, param) if tool.name in constrained and tool.parameters_json else {}
        if schema.setdefault("type", "object") != "object":
            raise InvalidValue(f"{param} must be the schema of an object.", param=param)
        calls.append(f"call_{index}")
        head = json.dumps(f'{{"name": "{tool.name}", "parameters": ')
        rules += [f'call_{index}: {head} arguments_{index} "}}"', _json_rule(f"arguments_{index}", schema, param)]
    return "\n".join([*rules, f"call: {' | '.join(calls)}"])


def _json_rule(name: str, schema: dict[str, Any], param: str) -> str:
    """A rule for JSON that satisfies a schema; UnsupportedParameter if it cannot be enforced."""
    text = json.dumps({**schema, _LAYOUT_KEY: _LAYOUT})
    problem = _problem(text)
    if problem:
        where = next((p for p, node in _nodes(schema, "") for key in node if f'"{key}"' in problem), None)
        at = f" at {where or '/'}" if where is not None else ""
        raise UnsupportedParameter(f"{param}: the schema cannot be enforced{at}: {problem}.", param=param)
    return f"{name}: %json {text}"


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


@lru_cache(maxsize=256)
def _problem(schema: str) -> str:
    """Why the schema cannot be enforced; empty if it can."""
    from llguidance import LLMatcher  # only calls with a grammar need it

    try:
        return LLMatcher.validate_grammar(LLMatcher.grammar_from_json_schema(schema)).strip().rstrip(".")
    except ValueError as error:
        return str(error).strip().rstrip(".")
