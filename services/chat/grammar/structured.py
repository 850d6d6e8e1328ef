"""What the engine's grammar has to enforce: a JSON schema from `response_format`, or the form of tool calls.

Engines enforce grammars with llguidance. What that cannot compile, or only slowly, `services.chat.grammar.compiler`
finds out; nothing is ignored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from services.chat.grammar.gbnf import lark_of
from services.chat.grammar.schema import parse_schema
from services.chat.grammar.tool_choice import (
    calls_allowed,
    forced_names,
    optional_schemas,
    parameters_param,
    strict_names,
)
from services.chat.grammar.tool_syntax import ToolSyntax
from services.errors import InvalidValue, UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chasqui.v1.chat_service_pb2 import ChatRequest

# Text that a grammar forces is not computed ahead: a schema of 2 kB can force megabytes, and llguidance would look at
# all of them before each token (90 ms for 2^12 forced objects, 0.02 ms without).
_HEADER: Final = '%llguidance {"no_forcing": true}'
# White space between the tokens of JSON as Python's json writes it, and no more: a weak model could fill its answer
# with white space that a grammar allows.
_LAYOUT: Final = {"x-guidance": {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}}
_SCHEMA_PARAM: Final = "response_format.json_schema.schema"
_LARK_PARAM: Final = "response_format.lark.grammar"
_GBNF_PARAM: Final = "response_format.gbnf.grammar"
_LONGEST_LARK: Final = 64 * 1024  # characters, as of a schema


@dataclass(frozen=True, slots=True)
class _Calls:
    """The rules for calls in one syntax, in which `call` stands for a call of any of the tools."""

    forced: str  # one call
    several: str  # one or more calls
    free: str  # content or calls, where any text is content
    arguments: str  # the key of a call's arguments
    layout: str  # what a call is besides its JSON, which `{}` stands for
    terminals: str


_CALLS: Final = {
    ToolSyntax.LLAMA3_JSON: _Calls(
        forced="call",
        several="call (SEPARATOR call)*",
        free="PROSE | LINES? call (SEPARATOR call)*",
        arguments="parameters",
        layout="{}",
        # Prose is free but for lines that begin with a brace; a call begins where the answer or a line does.
        terminals=r"""SEPARATOR: /(; ?|\n)/
PROSE: /[ \t]*[^{\s][^\n]*(\n+([ \t]*[^{\s][^\n]*)?)*/
LINES: /([ \t]*[^{\s][^\n]*\n+)+/""",
    ),
    ToolSyntax.HERMES: _Calls(
        forced="TAG call",
        several="TAG call (SEPARATOR call)*",
        free="PROSE | head call (SEPARATOR call)*",
        arguments="arguments",
        layout=r'"\n" {} "\n</tool_call>"',
        # Prose is free but for the tag; the head is prose that ends with one, and ends at the first.
        terminals=r"""TAG: "<tool_call>"
SEPARATOR: /\n?<tool_call>/
PROSE: /(?s:.+)/ & ~/(?s:.*)<tool_call>(?s:.*)/
head[lazy]: /(?s:.*)<tool_call>/""",
    ),
}


@dataclass(frozen=True, slots=True)
class Grammar:
    """A grammar in llguidance's form of Lark, and the callers' schemas in it by the field that brought each.

    `source` is the field that brought the whole grammar, if there is one.
    """

    text: str
    schemas: Mapping[str, dict[str, Any]]
    source: str = ""

    @property
    def param(self) -> str:
        """The field to blame for what is wrong with the whole."""
        return self.source or (next(iter(self.schemas)) if len(self.schemas) == 1 else "tools")


def grammar_of(
    request: ChatRequest, syntax: ToolSyntax = ToolSyntax.LLAMA3_JSON, loose: frozenset[str] = frozenset()
) -> Grammar | None:
    """The grammar that the answer must follow, with calls in the model's `syntax`; None if the answer is free.

    A forced call leaves no room for content, so `response_format` then has nothing to shape. Beside tools that may be
    called, an answer is either calls or content that satisfies the format. Schemas of the fields `loose` are not
    enforced. InvalidValue or UnsupportedParameter names what is wrong with a schema.
    """
    calls = _CALLS[syntax]
    forced = forced_names(request)
    if forced:
        rules, schemas = _call_rules(request, forced, calls, constrained=forced, loose=loose)
        return _grammar([f"start: {calls.forced}", calls.terminals], rules, schemas)
    may_call = bool(request.tools) and calls_allowed(request)
    if request.response_format.HasField("lark"):
        _check_own_grammar(request.response_format.lark.grammar, _LARK_PARAM, may_call=may_call)
        return _lark_grammar(request.response_format.lark.grammar)
    if request.response_format.HasField("gbnf"):
        _check_own_grammar(request.response_format.gbnf.grammar, _GBNF_PARAM, may_call=may_call)
        return Grammar(f"{_HEADER}\n{lark_of(request.response_format.gbnf.grammar, _GBNF_PARAM)}", {}, _GBNF_PARAM)
    strict, form = strict_names(request), _format_schema(request)
    if may_call and (strict or form is not None):
        names = frozenset(tool.function.name for tool in request.tools)
        rules, schemas = _call_rules(request, names, calls, constrained=strict, loose=loose)
        if form is None:
            return _grammar([f"start: {calls.free}", calls.terminals], rules, schemas)
        start = [f"start: content | {calls.several}", calls.terminals, _json_rule("content", form)]
        return _grammar(start, rules, _own(request, form) | schemas)
    return None if form is None else _grammar([_json_rule("start", form)], [], _own(request, form))


def _grammar(start: list[str], rules: list[str], schemas: Mapping[str, dict[str, Any]]) -> Grammar:
    return Grammar("\n".join([_HEADER, *start, *rules]), schemas)


def _check_own_grammar(text: str, param: str, *, may_call: bool) -> None:
    if may_call:
        raise UnsupportedParameter(f"{param} is not supported beside tools that may be called.", param=param)
    if not text.strip():
        raise InvalidValue(f"{param} is missing.", param=param)
    if len(text) > _LONGEST_LARK:
        raise InvalidValue(f"{param} is longer than {_LONGEST_LARK:,} characters.", param=param)


def _lark_grammar(text: str) -> Grammar:
    """The caller's own grammar, with our options in place of the caller's."""
    if text.startswith("%llguidance"):
        text = text.partition("\n")[2]
    if not text.strip():
        raise InvalidValue(f"{_LARK_PARAM} is missing.", param=_LARK_PARAM)
    return Grammar(f"{_HEADER}\n{text}", {}, _LARK_PARAM)


def _format_schema(request: ChatRequest) -> dict[str, Any] | None:
    """What `response_format` asks of the content; None if nothing."""
    form = request.response_format
    if form.WhichOneof("format") == "json_object":
        return {"type": "object"}
    if form.WhichOneof("format") == "json_schema":
        return parse_schema(form.json_schema.schema_json, _SCHEMA_PARAM)
    return None


def _own(request: ChatRequest, form: dict[str, Any]) -> dict[str, dict[str, Any]]:
    given = request.response_format.WhichOneof("format") == "json_schema"
    return {_SCHEMA_PARAM if given else "response_format": form}


def _call_rules(
    request: ChatRequest, names: frozenset[str], calls: _Calls, *, constrained: frozenset[str], loose: frozenset[str]
) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Rules for a call of a named tool; arguments of those not `constrained` are any object.

    A call is JSON as content may be, so that the lexer sees the same tokens in both and need not know yet which it is.
    """
    forms, rules, schemas, optional = [], [], {}, optional_schemas(request)
    for index, tool in enumerate(tool.function for tool in request.tools):
        if tool.name not in names:
            continue
        arguments: dict[str, Any] = {"type": "object"}
        param = parameters_param(index)
        if tool.name in constrained and param not in loose:
            try:
                schemas[param] = arguments = _arguments_schema(tool.parameters_json, param)
            except InvalidValue:
                if param not in optional:
                    raise
        call = {
            "type": "object",
            # With an id of its own, references in the tool's schema begin there.
            "properties": {"name": {"const": tool.name}, calls.arguments: {"$id": f"tool:{index}"} | arguments},
            "required": ["name", calls.arguments],
            "additionalProperties": False,
        }
        forms.append(calls.layout.replace("{}", f"call_{index}"))
        rules.append(_json_rule(f"call_{index}", call))
    return [f"call: {' | '.join(forms)}", *rules], schemas


def _arguments_schema(text: str, param: str) -> dict[str, Any]:
    """The schema of a tool's arguments; without parameters they are `{}`."""
    schema = {"type": "object"} | (parse_schema(text, param) if text else {})
    if schema["type"] != "object":
        raise InvalidValue(f"{param} must be the schema of an object.", param=param)
    return {"type": "object", "properties": {}, "additionalProperties": False} if len(schema) == 1 else schema


def _json_rule(name: str, schema: dict[str, Any]) -> str:
    return f"{name}: %json {json.dumps(schema | _LAYOUT)}"
