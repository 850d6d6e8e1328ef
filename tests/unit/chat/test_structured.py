"""The grammars that answers must follow: what they let through, judged by the library that enforces them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from llguidance import LLMatcher, LLTokenizer

from chasqui.v1 import chat_pb2, chat_service_pb2, tool_pb2
from services.chat.grammar.structured import grammar_of
from services.chat.grammar.tool_syntax import ToolSyntax
from services.errors import InvalidValue, UnsupportedParameter

TOKENIZER = LLTokenizer("byte")
NUMBER = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"], "additionalProperties": False}
TREE = {
    "type": "object",
    "properties": {"next": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}},
    "required": ["next"],
    "additionalProperties": False,
    "$defs": {"tree": {"$ref": "#"}},
}
REQUIRED = tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_REQUIRED)


def tool(name: str, schema: dict[str, Any] | None = None, *, strict: bool = False) -> tool_pb2.Tool:
    parameters = "" if schema is None else json.dumps(schema)
    return tool_pb2.Tool(function=tool_pb2.FunctionTool(name=name, parameters_json=parameters, strict=strict))


def json_schema(schema: dict[str, Any]) -> chat_pb2.ResponseFormat:
    form = chat_pb2.JsonSchemaFormat(name="answer", schema_json=json.dumps(schema))
    return chat_pb2.ResponseFormat(json_schema=form)


def accepts(text: str, syntax: ToolSyntax = ToolSyntax.LLAMA3_JSON, **fields: Any) -> bool:
    """Whether the text is a whole answer under the grammar of a request."""
    grammar = grammar_of(chat_service_pb2.ChatRequest(**fields), syntax)
    assert grammar is not None
    matcher = LLMatcher(TOKENIZER, grammar.text)
    assert not matcher.is_error(), matcher.get_error()
    data = list(text.encode())
    return matcher.try_consume_tokens(data) == len(data) and matcher.is_accepting()


def lark(grammar: str) -> chat_pb2.ResponseFormat:
    return chat_pb2.ResponseFormat(lark=chat_pb2.LarkFormat(grammar=grammar))


@pytest.mark.parametrize(
    ("grammar", "accepted", "refused"),
    [
        ('start: "yes" | "no"', "no", "maybe"),
        (r"start: /[0-9]{2}\/x/", "12/x", "1/x"),
        ('%llguidance {"no_forcing": false}\nstart: "a"', "a", "b"),
    ],
)
def test_an_answer_follows_the_callers_own_grammar(grammar: str, accepted: str, refused: str) -> None:
    assert accepts(accepted, response_format=lark(grammar))
    assert not accepts(refused, response_format=lark(grammar))


def test_a_grammar_stands_beside_tools_that_cannot_be_called_and_no_others() -> None:
    none = tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_NONE)
    assert accepts("a", response_format=lark('start: "a"'), tools=[tool("f")], tool_choice=none)
    with pytest.raises(UnsupportedParameter) as caught:
        grammar_of(chat_service_pb2.ChatRequest(response_format=lark('start: "a"'), tools=[tool("f")]))
    assert caught.value.param == "response_format.lark.grammar"


@pytest.mark.parametrize(
    "grammar", ["", " ", "%llguidance {}", "x" * 100_000], ids=["empty", "blank", "header", "long"]
)
def test_a_grammar_that_is_missing_or_too_long_is_refused(grammar: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        grammar_of(chat_service_pb2.ChatRequest(response_format=lark(grammar)))
    assert caught.value.param == "response_format.lark.grammar"


def call(name: str, arguments: object) -> str:
    return json.dumps({"name": name, "parameters": arguments})


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        (call("count", {"n": 1}), True),
        (call("count", {"n": 3}), False),
        (call("count", {}), False),
        (call("free", {"anything": [1, {"x": None}]}), True),
        (call("other", {}), False),
        (f"{call('count', {'n': 1})}; {call('free', {})}", True),
        (f"{call('free', {})}\n{call('count', {'n': 2})}", True),
        (f"{call('free', {})}; {call('count', {'n': 9})}", False),
        (f"Let me see.\n{call('count', {'n': 1})}", True),
        (f"Let me see.\n{call('count', {'n': 3})}", False),
        ("Just prose, with {braces} and\n\nseveral lines.\n", True),
        ("¡Olé! 🦙\n  indented", True),
        ("prose\n  {", False),
    ],
)
def test_beside_a_strict_tool_prose_is_free_and_calls_are_not(text: str, accepted: bool) -> None:
    assert accepts(text, tools=[tool("count", NUMBER, strict=True), tool("free")]) is accepted


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        (call("count", {"n": 2}), True),
        (call("free", {}), True),
        (call("count", {"n": "2"}), False),
        ("Hello", False),
        (call("count", {"n": 2}) + "; " + call("free", {}), False),
        (json.dumps({"name": "count", "parameters": {"n": 2}}, indent=1), False),
    ],
)
def test_a_required_call_is_one_call_of_an_offered_tool(text: str, accepted: bool) -> None:
    assert accepts(text, tools=[tool("count", NUMBER), tool("free")], tool_choice=REQUIRED) is accepted


def test_a_named_call_is_a_call_of_that_tool() -> None:
    fields: dict[str, Any] = {
        "tools": [tool("count", NUMBER), tool("free")],
        "tool_choice": tool_pb2.ToolChoice(function_name="free"),
    }
    assert accepts(call("free", {}), **fields)
    assert not accepts(call("free", {"a": 1}), **fields), "a tool without parameters takes none"
    assert not accepts(call("count", {"n": 1}), **fields)


@pytest.mark.parametrize("parameters", [{"type": "object"}, {"type": "object", "properties": {}}, {}])
def test_a_forced_tool_without_properties_takes_no_arguments(parameters: dict[str, Any]) -> None:
    fields: dict[str, Any] = {
        "tools": [tool("now", parameters)],
        "tool_choice": tool_pb2.ToolChoice(function_name="now"),
    }
    assert accepts(call("now", {}), **fields)
    assert not accepts(call("now", {"x": "Hello"}), **fields)


def test_an_object_has_no_other_properties_unless_its_schema_says_so() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}}}
    assert accepts('{"n": 1}', response_format=json_schema(schema))
    assert not accepts('{"Hello": "Hello"}', response_format=json_schema(schema))
    schema["additionalProperties"] = True
    assert accepts('{"Hello": "Hello"}', response_format=json_schema(schema))


def test_objects_that_apply_together_have_the_properties_of_all() -> None:
    parts = [{"type": "object", "properties": {name: {"type": "integer"}}, "required": [name]} for name in "ab"]
    assert accepts('{"a": 1, "b": 2}', response_format=json_schema({"allOf": parts}))


@pytest.mark.parametrize(
    ("text", "accepted"), [("https://example.com/a?b=c#d", True), ("no scheme", False), ("http://a b", False)]
)
def test_a_uri_has_a_scheme_and_no_blanks(text: str, accepted: bool) -> None:
    schema = {"type": "string", "format": "uri"}
    assert accepts(json.dumps(text), response_format=json_schema(schema)) is accepted


def test_an_optional_schema_can_be_left_out_of_the_grammar() -> None:
    fields: dict[str, Any] = {"tools": [tool("count", NUMBER), tool("free")], "tool_choice": REQUIRED}
    loose = grammar_of(chat_service_pb2.ChatRequest(**fields), loose=frozenset({"tools[0].function.parameters"}))
    assert loose is not None
    assert list(loose.schemas) == ["tools[1].function.parameters"]


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"$ref": "#/$defs/age"}},
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"age": {"type": "integer"}},
}


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ('{"name": "Bob", "age": 3}', True),
        ('{"name": "count"}', True),  # begins as a call does
        ('{"age": 3}', False),
        (call("count", {"n": 1}), True),
        (call("count", {"n": 3}), False),
        (f"{call('count', {'n': 1})}; {call('free', {'any': []})}", True),
        (f"{call('count', {'n': 1})}; {json.dumps({'name': 'Bob'})}", False),
        (call("other", {}), False),
        ("Hello", False),
        (f"Let me see.\n{call('count', {'n': 1})}", False),
    ],
)
def test_beside_tools_the_content_satisfies_the_format_or_there_are_calls(text: str, accepted: bool) -> None:
    tools = [tool("count", NUMBER, strict=True), tool("free")]
    assert accepts(text, tools=tools, response_format=json_schema(PERSON)) is accepted


def test_beside_tools_that_are_not_strict_the_format_holds_too() -> None:
    fields: dict[str, Any] = {"tools": [tool("count", NUMBER)], "response_format": json_schema(PERSON)}
    assert accepts(call("count", {"any": 1}), **fields)
    assert accepts('{"name": "Bob"}', **fields)
    assert not accepts('{"names": "Bob"}', **fields)
    fields["response_format"] = chat_pb2.ResponseFormat(json_object=chat_pb2.JsonObjectFormat())
    assert accepts('{"names": "Bob"}', **fields)
    assert not accepts("Bob", **fields)


def test_with_tool_choice_none_the_format_holds_alone_and_a_forced_call_leaves_it_nothing() -> None:
    fields: dict[str, Any] = {"tools": [tool("count", NUMBER, strict=True)], "response_format": json_schema(PERSON)}
    none = tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_NONE)
    assert accepts('{"name": "Bob"}', tool_choice=none, **fields)
    assert not accepts(call("count", {"n": 1}), tool_choice=none, **fields)
    assert accepts(call("count", {"n": 1}), tool_choice=REQUIRED, **fields)
    assert not accepts('{"name": "Bob"}', tool_choice=REQUIRED, **fields)


def test_references_in_a_tools_schema_begin_at_that_schema() -> None:
    fields: dict[str, Any] = {"tools": [tool("tree", TREE)], "tool_choice": REQUIRED}
    assert accepts(call("tree", {"next": {"next": None}}), **fields)
    assert not accepts(call("tree", {"next": {"next": 1}}), **fields)


def test_white_space_is_bounded() -> None:
    form = chat_pb2.ResponseFormat(json_object=chat_pb2.JsonObjectFormat())
    assert accepts('{"a": [1, 2]}', response_format=form)
    assert not accepts('{"a":  1}', response_format=form)
    assert not accepts('{\n"a": 1}', response_format=form)


def test_a_tool_whose_parameters_are_no_object_cannot_be_forced() -> None:
    named = tool_pb2.ToolChoice(function_name="f")
    request = chat_service_pb2.ChatRequest(tools=[tool("f", {"type": "string"})], tool_choice=named)
    with pytest.raises(InvalidValue) as raised:
        grammar_of(request)
    assert raised.value.param == "tools[0].function.parameters"


def test_without_anything_to_enforce_there_is_no_grammar() -> None:
    assert grammar_of(chat_service_pb2.ChatRequest(tools=[tool("f")])) is None
    none = tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_NONE)
    strict = [tool("f", NUMBER, strict=True)]
    assert grammar_of(chat_service_pb2.ChatRequest(tools=strict, tool_choice=none)) is None


def tagged(name: str, arguments: object) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        (tagged("count", {"n": 1}), True),
        (tagged("count", {"n": 3}), False),
        (f"{tagged('free', {'a': []})}\n{tagged('count', {'n': 2})}", True),
        (f"{tagged('free', {})}{tagged('count', {'n': 9})}", False),
        (f"Let me see.\n{tagged('count', {'n': 1})}", True),
        (f"Let me see.\n{tagged('count', {'n': 3})}", False),
        ("Just prose, with {braces}, <tags> and\n\n<tool_ca", True),
        ("prose <tool_call> prose", False),
        (call("count", {"n": 3}), True),  # prose in this syntax
    ],
)
def test_in_hermes_syntax_prose_is_free_beside_strict_tools(text: str, accepted: bool) -> None:
    tools = [tool("count", NUMBER, strict=True), tool("free")]
    assert accepts(text, ToolSyntax.HERMES, tools=tools) is accepted


def test_in_hermes_syntax_a_required_call_is_one_call() -> None:
    fields: dict[str, Any] = {"tools": [tool("count", NUMBER), tool("free")], "tool_choice": REQUIRED}
    assert accepts(tagged("count", {"n": 2}), ToolSyntax.HERMES, **fields)
    assert not accepts(tagged("count", {"n": 3}), ToolSyntax.HERMES, **fields)
    assert not accepts("Hello", ToolSyntax.HERMES, **fields)
    assert not accepts(f"{tagged('free', {})}\n{tagged('free', {})}", ToolSyntax.HERMES, **fields)


def test_in_hermes_syntax_the_content_satisfies_the_format_or_there_are_calls() -> None:
    fields: dict[str, Any] = {"tools": [tool("count", NUMBER, strict=True)], "response_format": json_schema(PERSON)}
    assert accepts(f"{tagged('count', {'n': 1})}\n{tagged('count', {'n': 2})}", ToolSyntax.HERMES, **fields)
    assert accepts('{"name": "Bob"}', ToolSyntax.HERMES, **fields)
    assert not accepts('{"names": "Bob"}', ToolSyntax.HERMES, **fields)
