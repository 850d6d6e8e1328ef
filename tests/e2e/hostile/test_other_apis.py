"""Hostile bodies for Responses and Messages: every one is answered, or refused in the API's own envelope."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.anthropic.request_schema import MessagesRequest
from edge.responses.request_schema import ResponsesRequest
from tests.support.http import Reply, post
from tests.support.replicas import Replicas
from tests.support.siege import CANARY, fuzzed

RESPONSES, MESSAGES, COUNT = "/v1/responses", "/v1/messages", "/v1/messages/count_tokens"
TURNS = [{"role": "user", "content": CANARY}]
BODIES: dict[str, dict[str, Any]] = {
    RESPONSES: {"model": "simulated", "input": CANARY, "max_output_tokens": 3},
    MESSAGES: {"model": "simulated", "messages": TURNS, "max_tokens": 3},
    COUNT: {"model": "simulated", "messages": TURNS},
}
FIELDS = {
    RESPONSES: [*ResponsesRequest.__struct_fields__, "previous_response_id", "reasoning", "nobody"],
    MESSAGES: [*MessagesRequest.__struct_fields__, "thinking", "thread", "nobody"],
    COUNT: [*MessagesRequest.__struct_fields__, "nobody"],
}
# Items and blocks whose fields are anything, so that some of them get past the decoder.
words = st.sampled_from(
    [
        *("message", "function_call", "function_call_output", "reasoning", "function", "allowed_tools", "required"),
        *("text", "tool_use", "tool_result", "image", "thinking", "user", "assistant", "system", "auto", "any", "tool"),
        *("input_text", "output_text", "refusal", "json_schema", "json_object", "look", "c1", "{}", "null"),
    ]
)
keys = st.sampled_from(
    [
        *(
            "type",
            "role",
            "content",
            "text",
            "refusal",
            "id",
            "call_id",
            "name",
            "arguments",
            "output",
            "tools",
            "mode",
        ),
        *("input", "tool_use_id", "input_schema", "parameters", "strict", "format", "schema", "description", "nobody"),
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6),
    max_leaves=16,
)
every_path = pytest.mark.parametrize("path", BODIES)


def judged(reply: Reply, path: str) -> bool:
    """Whether the request was answered, or refused as the caller's fault in the envelope of its API."""
    if reply.status == 200:
        return True
    error = reply.json()["error"]
    details = {"type", "message", "param", "code"} if path == RESPONSES else {"type", "message", "details"}
    return reply.status in {400, 404, 413} and set(error) == details


@every_path
@fuzzed
@given(data=st.data())
def test_fields_of_any_value_are_answered_or_refused_in_the_envelope(
    replicas: Replicas, path: str, data: st.DataObject
) -> None:
    fields = data.draw(st.dictionaries(st.sampled_from(FIELDS[path]), values, min_size=1, max_size=4))
    assert judged(post(replicas.url + path, BODIES[path] | fields), path)


@every_path
@fuzzed
@given(items=st.lists(st.dictionaries(keys, values, min_size=1, max_size=6), min_size=1, max_size=5))
def test_items_and_blocks_in_any_order_are_answered_or_refused_in_the_envelope(
    replicas: Replicas, path: str, items: list[Any]
) -> None:
    content = {"input": items} if path == RESPONSES else {"messages": [{"role": "user", "content": items}, *TURNS]}
    assert judged(post(replicas.url + path, BODIES[path] | content), path)


@every_path
@pytest.mark.parametrize("opening", ["[", '{"content":'])
@pytest.mark.parametrize("field", ["input", "messages", "system", "tools", "text", "metadata", "nobody"])
def test_json_that_is_100000_deep_is_400(replicas: Replicas, path: str, field: str, opening: str) -> None:
    deep = opening * 100_000 + "1" + ("]" if opening == "[" else "}") * 100_000
    body = json.dumps(BODIES[path] | {field: "HERE"}).replace('"HERE"', deep)
    reply = post(replicas.url + path, body.encode())
    assert reply.status == 400
    assert judged(reply, path)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (MESSAGES, {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "input": "HERE"}]}, *TURNS]}),
        (MESSAGES, {"tools": [{"name": "look", "input_schema": "HERE"}]}),
        (MESSAGES, {"output_config": {"format": {"type": "json_schema", "schema": "HERE"}}}),
        (RESPONSES, {"tools": [{"type": "function", "name": "look", "parameters": "HERE"}]}),
        (RESPONSES, {"text": {"format": {"type": "json_schema", "name": "n", "schema": "HERE"}}}),
    ],
    ids=["input", "input_schema", "format", "parameters", "text.format"],
)
def test_verbatim_json_that_is_deep_is_400(replicas: Replicas, path: str, fields: dict[str, Any]) -> None:
    for depth in (900, 10_000):
        deep = '{"properties": ' * depth + "{}" + "}" * depth
        reply = post(replicas.url + path, json.dumps(BODIES[path] | fields).replace('"HERE"', deep).encode())
        assert reply.status == 400
        assert judged(reply, path)


@every_path
def test_more_items_than_a_request_may_have_are_400(replicas: Replicas, path: str) -> None:
    items = [{"type": "text", "text": "a"}] * 20_000
    content: dict[str, Any] = {"input": [{"role": "user", "content": "a"}] * 20_000}
    if path != RESPONSES:
        content = {"messages": [{"role": "user", "content": items}]}
    assert post(replicas.url + path, BODIES[path] | content).status == 400


@every_path
def test_bytes_that_are_not_utf_8_are_400(replicas: Replicas, path: str) -> None:
    body = json.dumps(BODIES[path]).encode().replace(CANARY.encode(), b"\xff\xfe")
    reply = post(replicas.url + path, body)
    assert reply.status == 400
    assert judged(reply, path)
