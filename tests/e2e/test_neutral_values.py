"""What changes nothing is accepted: every field and schema keyword with null, empty, default and float forms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.http import post
from tests.support.service import Service

ASK: dict[str, Any] = {"model": REFERENCE_MODEL, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 1}
COMPLETE: dict[str, Any] = {"model": REFERENCE_MODEL, "prompt": "Hello!", "max_tokens": 1}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}

SHARED: dict[str, tuple[Any, ...]] = {
    "max_tokens": (None, 16.0, 1e1, 2**31 - 1),
    "n": (None, 1, 1.0),
    "temperature": (None, 0, 0.0, 1),
    "top_p": (None, 1, 1.0),
    "top_k": (None, 0, -1, 40.0),
    "min_p": (None, 0, 0.0),
    "presence_penalty": (None, 0, 0.0),
    "frequency_penalty": (None, 0, 0.0),
    "repetition_penalty": (None, 1, 1.0),
    "seed": (None, 0, -1, 5.0, -(2**63), 2**63 - 1),
    "stop": (None, []),
    "stream": (None, False),
    "stream_options": (None,),
    "logit_bias": (None, {}),
    "logprobs": (None,),
    "user": (None, ""),
    "ignore_eos": (None, False),
    "stop_token_ids": (None, []),
    "min_tokens": (None, 0, 0.0),
    "response_format": (None, {"type": "text"}),
    "nobody_knows": (None, {}, [], "", 0),
}
CHAT: dict[str, tuple[Any, ...]] = {
    **SHARED,
    "max_completion_tokens": (None, 3.0),
    "logprobs": (None, False),
    "top_logprobs": (None, 0, 0.0),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "parallel_tool_calls": (None, True, False),
    "functions": (None, []),
    "function_call": (None, "none"),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "prediction": (None,),
    "web_search_options": (None,),
    "reasoning_effort": (None, "none"),
    "verbosity": (None, "medium"),
    "service_tier": (None, "auto", "default"),
    "store": (None, False),
    "metadata": (None, {}),
    "prompt_cache_key": (None, ""),
    "safety_identifier": (None, ""),
}
COMPLETION: dict[str, tuple[Any, ...]] = {
    **SHARED,
    "best_of": (None, 1, 1.0),
    "echo": (None, False),
    "suffix": (None, ""),
}
# Turns that say nothing, and fields of messages that do not.
HISTORIES: dict[str, list[dict[str, Any]]] = {
    "an assistant without content": [{"role": "assistant"}],
    "an assistant with null": [{"role": "assistant", "content": None}],
    "an assistant with nothing": [{"role": "assistant", "content": ""}],
    "an assistant with no parts": [{"role": "assistant", "content": []}],
    "an assistant that refused": [{"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}],
    "null fields": [
        {"role": "assistant", "content": "Hi", "tool_calls": None, "refusal": None, "audio": None, "name": None}
    ],
    "empty fields": [
        {"role": "assistant", "content": "Hi", "tool_calls": [], "annotations": [], "function_call": None}
    ],
    "a result that is null": [
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "a", "content": None},
    ],
    "a result without parts": [
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "a", "content": []},
    ],
    "a call without arguments": [
        {"role": "assistant", "content": "", "tool_calls": [CALL | {"function": {"name": "f", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "a", "content": ""},
    ],
    "an id for each of two turns": [
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "a", "content": "2"},
    ],
}
# Keywords that allow everything, or only describe, in a schema of a string, a list or an object.
KEYWORDS: dict[str, tuple[dict[str, Any], ...]] = {
    "string": (
        *({"minLength": 0}, {"minLength": 0.0}, {"maxLength": 5.0}, {"format": "uri"}),
        *({"title": ""}, {"description": ""}, {"default": None}, {"default": ""}, {"examples": []}, {"$comment": ""}),
        *(
            {"deprecated": False},
            {"readOnly": False},
            {"writeOnly": False},
            {"nullable": False},
            {"contentEncoding": "a"},
        ),
        *({"discriminator": {"propertyName": "a"}}, {"x-order": 1}),
    ),
    "array": (
        *(
            {"minItems": 0},
            {"minItems": 0.0},
            {"maxItems": 2.0},
            {"uniqueItems": False},
            {"items": {}},
            {"items": True},
        ),
    ),
    "object": (
        *({"required": []}, {"required": None}, {"properties": {}}, {"minProperties": 0}, {"minProperties": 0.0}),
        *({"propertyNames": {"type": "string"}}, {"propertyNames": {}}, {"patternProperties": {}}, {"$defs": {}}),
        *({"additionalProperties": False}, {"additionalProperties": True}, {"additionalProperties": {}}),
        *({"$schema": "https://json-schema.org/draft/2020-12/schema"}, {"$id": "a"}, {"definitions": {}}),
        *({"dependentRequired": {}}, {"dependentSchemas": {}}),
    ),
    "integer": ({"minimum": -5.0}, {"maximum": 7.0}, {"multipleOf": 1}, {"multipleOf": 1.0}),
}
ENDPOINTS = {"/v1/chat/completions": (ASK, CHAT), "/v1/completions": (COMPLETE, COMPLETION)}
FORMS = [(path, field, value) for path, (_, table) in ENDPOINTS.items() for field in table for value in table[field]]


def named(*values: object) -> str:
    """The values of a test's parameters, as they are written in JSON."""
    return " ".join(value if isinstance(value, str) else json.dumps(value) for value in values)


def cases(rows: list[tuple[Any, ...]]) -> list[Any]:
    """Parameters under their names."""
    return [pytest.param(*row, id=named(*row)) for row in rows]


@pytest.mark.parametrize(("path", "field", "value"), cases(FORMS))
def test_a_field_in_a_neutral_form_is_accepted(llama_cpp: Service, path: str, field: str, value: object) -> None:
    body, _ = ENDPOINTS[path]
    limit = {"max_completion_tokens": 1} if field == "max_tokens" and body is ASK else {}
    reply = post(llama_cpp.url + path, {**body, **limit, field: value})
    assert reply.status == 200, reply.body


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_with_turns_that_say_nothing_is_accepted(llama_cpp: Service, name: str) -> None:
    messages = [*ASK["messages"], *HISTORIES[name], {"role": "user", "content": "Go on."}]
    for tools in ([], [TOOL]):
        reply = post(llama_cpp.url + "/v1/chat/completions", {**ASK, "messages": messages, "tools": tools})
        assert reply.status == 200, reply.body


@pytest.mark.parametrize("first", ["assistant", "system", "developer"])
def test_tools_beside_a_history_that_begins_with_another_role_are_accepted(llama_cpp: Service, first: str) -> None:
    beginnings: tuple[list[Any], ...] = ([], ASK["messages"])
    for rest in beginnings:
        messages = [{"role": first, "content": "Hello."}, *rest]
        reply = post(llama_cpp.url + "/v1/chat/completions", {**ASK, "messages": messages, "tools": [TOOL]})
        assert reply.status == 200, reply.body


@pytest.mark.parametrize(
    ("kind", "keyword"), cases([(kind, keyword) for kind in KEYWORDS for keyword in KEYWORDS[kind]])
)
def test_a_keyword_in_a_neutral_form_is_accepted(llama_cpp: Service, kind: str, keyword: dict[str, Any]) -> None:
    schema = {"type": kind, **keyword}
    whole = schema if kind == "object" else {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": whole}}
    tool = {"type": "function", "function": {"name": "f", "parameters": whole}}
    for fields in ({"response_format": form}, {"tools": [tool], "tool_choice": "required"}):
        reply = post(llama_cpp.url + "/v1/chat/completions", {**ASK, **fields})
        assert reply.status == 200, reply.body
