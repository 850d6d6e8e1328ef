"""Answers that a grammar shapes, on the demo model: JSON that satisfies its schema, and calls that are forced."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import grpc
import jsonschema
import openai
import pytest
from openai import OpenAI, Stream
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion import Choice
from openai.types.shared_params import ResponseFormatJSONSchema
from pydantic import BaseModel

from chasqui.v1 import model_service_pb2, model_service_pb2_grpc
from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.http import post
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

ASK: dict[str, Any] = {"model": REFERENCE_MODEL, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 300}
PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "maxItems": 3},
        "next": {"anyOf": [{"$ref": "#/$defs/point"}, {"type": "null"}]},
    },
    "required": ["name", "age", "tags", "next"],
    "additionalProperties": False,
    "$defs": {
        "point": {
            "type": "object",
            "properties": {"x": {"type": "boolean"}},
            "required": ["x"],
            "additionalProperties": False,
        }
    },
}
SCHEMAS: list[dict[str, Any]] = [
    PERSON,
    {"type": "object", "properties": {}, "additionalProperties": False},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 4},
    {"type": "string", "pattern": "^[a-f]{3}-[0-9]{2}$"},
    {"enum": ["red", "green", 3, None]},
    {"type": "object", "properties": {"when": {"type": "string", "format": "date"}}, "required": ["when"]}
    | {"additionalProperties": False},
]


@pytest.fixture
def client(llama_cpp: Service) -> Iterator[OpenAI]:
    with OpenAI(base_url=llama_cpp.url + "/v1", api_key="unused", max_retries=0) as client:
        yield client


def json_schema(schema: dict[str, Any]) -> ResponseFormatJSONSchema:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def fold(stream: Stream[ChatCompletionChunk]) -> Choice:
    """The only choice of a streamed answer, put together by the client's own helper."""
    state = ChatCompletionStreamState()
    for chunk in stream:
        state.handle_chunk(chunk)
    return state.get_final_completion().choices[0]


def tool(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": "d", "parameters": parameters}}


COUNT: dict[str, Any] = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}
TOOLS = [tool("first", PERSON), tool("second", COUNT)]


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
@pytest.mark.parametrize("seed", [1, 2])
def test_an_answer_satisfies_its_schema(client: OpenAI, schema: dict[str, Any], seed: int) -> None:
    answer = client.chat.completions.create(**ASK, response_format=json_schema(schema), seed=seed, temperature=1.5)
    assert answer.choices[0].finish_reason == "stop"
    jsonschema.validate(json.loads(answer.choices[0].message.content or ""), schema)


def test_a_json_object_is_one_however_it_ends(client: OpenAI) -> None:
    choice = client.chat.completions.create(**ASK, response_format={"type": "json_object"}, seed=4).choices[0]
    text = choice.message.content or ""
    assert text.startswith("{")
    if choice.finish_reason == "stop":
        assert isinstance(json.loads(text), dict)


def test_an_answer_that_is_cut_by_length_says_so(client: OpenAI) -> None:
    fields = {**ASK, "max_tokens": 3}
    answer = client.chat.completions.create(**fields, response_format=json_schema(PERSON))
    assert answer.choices[0].finish_reason == "length"


def test_the_parse_helper_of_the_client_gets_its_model(client: OpenAI) -> None:
    class Colour(BaseModel):
        red: bool
        count: int

    answer = client.chat.completions.parse(**ASK, response_format=Colour, seed=3)
    assert isinstance(answer.choices[0].message.parsed, Colour)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("choice", "names", "finish"),
    [
        ("required", {"first", "second"}, "tool_calls"),
        ({"type": "function", "function": {"name": "second"}}, {"second"}, "stop"),
    ],
    ids=["required", "named"],
)
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("parallel", [True, False])
def test_a_forced_call_is_one_and_its_arguments_satisfy_the_schema(
    client: OpenAI, choice: Any, names: set[str], finish: str, stream: bool, n: int, parallel: bool
) -> None:
    schemas = {one["function"]["name"]: one["function"]["parameters"] for one in TOOLS}
    fields: dict[str, Any] = {**ASK, "tools": TOOLS, "tool_choice": choice, "n": n, "seed": 5}
    fields["parallel_tool_calls"] = parallel
    calls: dict[int, list[str]] = {}
    finishes: dict[int, str] = {}
    if stream:
        for chunk in client.chat.completions.create(**fields, stream=True):
            for part in chunk.choices:
                assert not part.delta.content
                for call in part.delta.tool_calls or ():
                    known = calls.setdefault(part.index, ["", ""])
                    known[0] += call.function.name or ""
                    known[1] += call.function.arguments or ""
                finishes |= {part.index: part.finish_reason} if part.finish_reason else {}
    else:
        for part in client.chat.completions.create(**fields).choices:
            assert part.message.content is None
            (call,) = part.message.tool_calls
            calls[part.index] = [call.function.name, call.function.arguments]
            finishes[part.index] = part.finish_reason
    assert finishes == dict.fromkeys(range(n), finish)
    for name, arguments in calls.values():
        assert name in names
        jsonschema.validate(json.loads(arguments), schemas[name])


def brace_ids(service: Service) -> dict[str, int]:
    """A bias that makes the brace certain wherever the grammar allows it: the answer begins as a call does."""
    with grpc.insecure_channel(service.target) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        request = model_service_pb2.CountTokensRequest(model=REFERENCE_MODEL, text="{", include_tokens=True)
        return {str(token): 100 for token in stub.CountTokens(request).tokens}


@pytest.mark.parametrize("parallel", [True, False])
def test_a_strict_tool_is_called_by_its_schema_when_the_model_is_free_to_call(
    client: OpenAI, llama_cpp: Service, parallel: bool
) -> None:
    strict = {"type": "function", "function": {**tool("second", COUNT)["function"], "strict": True}}
    fields = {**ASK, "tools": [tool("first", PERSON), strict], "parallel_tool_calls": parallel, "max_tokens": 100}
    for seed in range(4):
        choice = client.chat.completions.create(**fields, logit_bias=brace_ids(llama_cpp), seed=seed).choices[0]
        assert choice.message.tool_calls
        for call in choice.message.tool_calls if choice.finish_reason == "tool_calls" else ():
            if call.function.name == "second":
                jsonschema.validate(json.loads(call.function.arguments), COUNT)


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "nope"}, "nope"),
        ({"type": "object", "properties": {"a": {"not": {}}}}, "/properties/a"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"$ref": "#/$defs/absent"}, "absent"),
        ({"properties": {"a": {"$ref": "https://example.com/schema"}}}, "/properties/a/$ref"),
        ({"type": "string", "format": "colour"}, "colour"),
    ],
)
def test_what_cannot_be_enforced_is_refused_by_name(client: OpenAI, schema: dict[str, Any], named: str) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(**ASK, response_format=json_schema(schema))
    assert raised.value.param == "response_format.json_schema.schema"
    assert named in raised.value.message


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": list(range(1001))},
        {"description": "x" * 70_000},
        json.loads('{"items":' * 64 + "{}" + "}" * 64),
    ],
    ids=["enum", "size", "depth"],
)
def test_a_schema_beyond_the_limits_is_refused(client: OpenAI, schema: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**ASK, response_format=json_schema(schema))


def test_a_recursive_schema_and_a_costly_pattern_harm_nobody(client: OpenAI) -> None:
    tree = {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "required": ["next"],
        "additionalProperties": False,
    }
    for schema in (tree, {"type": "string", "pattern": "^((a+)+)+b$"}):
        answer = client.chat.completions.create(**{**ASK, "max_tokens": 40}, response_format=json_schema(schema))
        assert answer.choices[0].finish_reason in {"stop", "length"}
    assert client.chat.completions.create(**{**ASK, "max_tokens": 2}).choices


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_beside_tools_an_answer_is_content_by_its_schema_or_calls(
    llama_cpp: Service, client: OpenAI, stream: bool
) -> None:
    only = COUNT | {"additionalProperties": False}
    strict = {"type": "function", "function": {**tool("second", only)["function"], "strict": True}}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"reply": {"enum": ["Ana", "Bob"]}},
        "required": ["reply"],
    }
    schema |= {"additionalProperties": False}
    fields: dict[str, Any] = {**ASK, "tools": [strict], "response_format": json_schema(schema), "temperature": 2}
    fields["parallel_tool_calls"] = False
    # What the model would rather do is nothing to rely on: a bias towards how the schema's answers begin decides.
    asked = {"model": REFERENCE_MODEL, "prompt": "reply", "add_special_tokens": False}
    [begins, *_] = post(llama_cpp.url + "/tokenize", asked).json()["tokens"]
    for bias, finish in ((100, "stop"), (-100, "tool_calls")):
        for seed in range(4):
            wanted = {**fields, "seed": seed, "logit_bias": {str(begins): bias}}
            choice: Any = (
                fold(client.chat.completions.create(**wanted, stream=True))
                if stream
                else client.chat.completions.create(**wanted).choices[0]
            )
            assert choice.finish_reason == finish
            if finish == "stop":
                jsonschema.validate(json.loads(choice.message.content or ""), schema)
                assert not choice.message.tool_calls
            else:
                assert not choice.message.content
                (call,) = choice.message.tool_calls
                jsonschema.validate(json.loads(call.function.arguments), only)


@pytest.mark.parametrize(("choice", "finish"), [("none", "stop"), ("required", "tool_calls")])
def test_without_a_choice_between_content_and_calls_only_one_shapes_the_answer(
    client: OpenAI, choice: Any, finish: str
) -> None:
    schema = {"enum": ["red", "green"]}
    fields: dict[str, Any] = {**ASK, "tools": TOOLS[1:], "response_format": json_schema(schema), "tool_choice": choice}
    answer: Any = client.chat.completions.create(**fields, seed=2).choices[0]
    assert answer.finish_reason == finish
    if finish == "stop":
        assert json.loads(answer.message.content or "") in schema["enum"]
    else:
        assert answer.message.content is None
        (call,) = answer.message.tool_calls
        jsonschema.validate(json.loads(call.function.arguments), COUNT)


def test_an_engine_without_grammars_refuses_both_by_name(simulated: Service) -> None:
    with OpenAI(base_url=simulated.url + "/v1", api_key="unused", max_retries=0) as client:
        refused: tuple[tuple[dict[str, Any], str], ...] = (
            ({"response_format": json_schema(PERSON)}, "response_format"),
            ({"tools": TOOLS, "tool_choice": "required"}, "tool_choice"),
        )
        for fields, param in refused:
            with pytest.raises(openai.BadRequestError) as raised:
                client.chat.completions.create(**ASK, **fields)
            assert raised.value.param == param


CONSTRAINTS: list[tuple[dict[str, Any], str]] = [
    ({"guided_choice": ["yes", "no"]}, "yes|no"),
    ({"structured_outputs": {"choice": ["a/b", 'c"d']}}, 'a/b|c"d'),
    ({"guided_regex": r"[a-f]{3}/[0-9]{2}"}, "[a-f]{3}/[0-9]{2}"),
    ({"regex": "(ab){1,3}c"}, "(ab){1,3}c"),
    ({"guided_grammar": 'start: "x" /[0-9]{3}/'}, "x[0-9]{3}"),
    ({"guided_json": SCHEMAS[2]}, r"\[.*\]"),
    ({"json_schema": json.dumps(SCHEMAS[2])}, r"\[.*\]"),
    ({"response_format": {"type": "json_object", "schema": SCHEMAS[1]}}, r"\{\}"),
]


@pytest.mark.parametrize("path", ["chat/completions", "completions"])
@pytest.mark.parametrize(("fields", "pattern"), CONSTRAINTS, ids=[next(iter(fields)) for fields, _ in CONSTRAINTS])
def test_the_constraints_of_other_servers_are_enforced(
    llama_cpp: Service, path: str, fields: dict[str, Any], pattern: str
) -> None:
    prompt = {"prompt": "Hello!", "model": REFERENCE_MODEL, "max_tokens": 100} if path == "completions" else ASK
    reply = post(f"{llama_cpp.url}/v1/{path}", prompt | fields)
    assert reply.status == 200, reply.body
    choice = reply.json()["choices"][0]
    assert re.fullmatch(pattern, choice["text"] if path == "completions" else choice["message"]["content"])


@pytest.mark.parametrize("field", ["guided_regex", "regex", "guided_grammar"])
def test_a_constraint_that_cannot_be_enforced_is_refused_by_the_callers_own_name(
    llama_cpp: Service, field: str
) -> None:
    reply = post(f"{llama_cpp.url}/v1/chat/completions", ASK | {field: "((("})
    assert reply.status == 400
    assert reply.error["param"] == field
    assert reply.error["message"].startswith(f"{field} cannot be enforced: ")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"guided_regex": "[a-z]+"}, "guided_regex"),
        ({"structured_outputs": {"choice": ["yes"]}}, "structured_outputs.choice"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
    ids=str,
)
def test_a_field_that_cannot_be_beside_a_constraint_is_refused_by_the_callers_own_names(
    llama_cpp: Service, fields: dict[str, Any], name: str
) -> None:
    reply = post(f"{llama_cpp.url}/v1/chat/completions", ASK | fields | {"ignore_eos": True})
    assert (reply.status, reply.error["param"]) == (400, "ignore_eos")
    assert reply.error["message"].startswith(f"ignore_eos is not supported together with {name}:")


@pytest.mark.parametrize("field", ["grammar", "ebnf", "guided_grammar"])
def test_an_answer_follows_a_grammar_in_gbnf(llama_cpp: Service, field: str) -> None:
    grammar = 'root ::= answer "!"\nanswer ::= "yes" | "no" [0-9]{2}'
    body = {"model": REFERENCE_MODEL, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 30}
    answer = post(f"{llama_cpp.url}/v1/chat/completions", body | {field: grammar})
    assert answer.status == 200, answer.body
    assert re.fullmatch(r"(yes|no[0-9]{2})!", answer.json()["choices"][0]["message"]["content"])
    wrong = post(f"{llama_cpp.url}/v1/chat/completions", body | {field: "root ::= missing"})
    assert (wrong.status, wrong.json()["error"]["param"]) == (400, field)
