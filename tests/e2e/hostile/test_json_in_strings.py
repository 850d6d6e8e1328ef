"""Fields that hold JSON in a string: whatever is in them, an answer or a refusal that names the field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import msgspec
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from chasqui.v1 import chat_pb2, chat_service_pb2_grpc, tool_pb2
from tests.support.http import post
from tests.support.json_texts import JSON_TEXTS, json_texts
from tests.support.siege import BODY, CHAT, chat_request, fuzzed

if TYPE_CHECKING:
    from chasqui.v1.chat_service_pb2 import ChatRequest
    from tests.support.replicas import Replicas

QUESTION = {"role": "user", "content": "Weather?"}


def call_body(arguments: str) -> bytes:
    """A history in which the assistant made a call with these arguments."""
    call = {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": arguments}}
    result = {"role": "tool", "tool_call_id": "call_0", "content": "sunny"}
    messages = [QUESTION, {"role": "assistant", "tool_calls": [call]}, result]
    return json.dumps({**BODY, "messages": messages}).encode()


def tool_body(parameters: str) -> bytes:
    """A tool with these parameters, which are JSON in a REST body and not in a string."""
    tool = {"type": "function", "function": {"name": "f", "parameters": "HERE"}}
    return json.dumps({**BODY, "tools": [tool]}).encode().replace(b'"HERE"', parameters.encode())


def schema_body(schema: str) -> bytes:
    """A response format with this schema."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": "HERE"}}
    return json.dumps({**BODY, "response_format": form}).encode().replace(b'"HERE"', schema.encode())


def call_message(arguments: str) -> ChatRequest:
    """The same history over gRPC."""
    call = tool_pb2.ToolCall(id="call_0", function=tool_pb2.FunctionCall(name="f", arguments=arguments))
    result = chat_pb2.Message(role=chat_pb2.ROLE_TOOL, tool_call_id="call_0", content=[text("sunny")])
    asked = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[text("Weather?")])
    return chat_request(messages=[asked, chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, tool_calls=[call]), result])


def tool_message(parameters: str) -> ChatRequest:
    """The same tool over gRPC, where its parameters are JSON in a string."""
    function = tool_pb2.FunctionTool(name="f", parameters_json=parameters)
    return chat_request(tools=[tool_pb2.Tool(function=function)])


def schema_message(schema: str) -> ChatRequest:
    """The same response format over gRPC."""
    form = chat_pb2.JsonSchemaFormat(name="x", schema_json=schema)
    return chat_request(response_format=chat_pb2.ResponseFormat(json_schema=form))


def text(content: str) -> chat_pb2.ContentPart:
    return chat_pb2.ContentPart(text=content)


# How to send a text, and the field that a refusal has to name.
REST: dict[str, tuple[Any, str]] = {
    "arguments": (call_body, "messages[1].tool_calls[0].function.arguments"),
    "parameters": (tool_body, "tools[0].function.parameters"),
    "schema": (schema_body, "response_format"),
}
GRPC: dict[str, tuple[Any, str]] = {
    "arguments": (call_message, "messages[1].tool_calls[0].function.arguments"),
    "parameters": (tool_message, "tools[0].function.parameters"),
    "schema": (schema_message, "response_format"),
}


def check_rest(replicas: Replicas, field: str, content: str) -> None:
    body, param = REST[field]
    data = body(content)
    reply = post(replicas.url + CHAT, data)
    assert reply.status in (200, 400)
    # The decoder stops at some 950 levels, wherever they are, and then refuses the body as a whole.
    if reply.status == 400 and _is_json(data) and reply.error["message"] != "The body is nested too deeply.":
        assert str(reply.error["param"]).startswith((param, "messages")), reply.error


def _is_json(data: bytes) -> bool:
    """What is no JSON as a whole, a lone surrogate in it included, has no fields to be named."""
    try:
        msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return False
    return True


def check_grpc(channel: grpc.Channel, field: str, content: str) -> None:
    message, param = GRPC[field]
    error = chat_service_pb2_grpc.ChatServiceStub(channel).Chat.future(message(content), timeout=60).exception()
    if error is not None:
        status = rpc_status.from_call(error)
        assert status is not None, error
        assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0], error
        info = error_details_pb2.ErrorInfo()
        assert any(detail.Unpack(info) for detail in status.details)
        assert info.metadata["param"].startswith((param, "messages")), error


@pytest.mark.parametrize("name", JSON_TEXTS)
@pytest.mark.parametrize("field", REST)
def test_over_rest_a_text_is_answered_or_refused_by_the_field_s_name(replicas: Replicas, field: str, name: str) -> None:
    check_rest(replicas, field, JSON_TEXTS[name])


@pytest.mark.parametrize("name", JSON_TEXTS)
@pytest.mark.parametrize("field", GRPC)
def test_over_grpc_a_text_is_answered_or_refused_by_the_field_s_name(
    channel: grpc.Channel, field: str, name: str
) -> None:
    check_grpc(channel, field, JSON_TEXTS[name])


@fuzzed
@given(field=st.sampled_from(list(REST)), content=json_texts)
def test_over_rest_any_text_is_answered_or_refused_by_the_field_s_name(
    replicas: Replicas, field: str, content: str
) -> None:
    check_rest(replicas, field, content)


@fuzzed
@given(field=st.sampled_from(list(GRPC)), content=json_texts)
def test_over_grpc_any_text_is_answered_or_refused_by_the_field_s_name(
    channel: grpc.Channel, field: str, content: str
) -> None:
    check_grpc(channel, field, content)
