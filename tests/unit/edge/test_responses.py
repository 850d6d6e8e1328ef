"""Responses requests as the contract's, and errors by the paths of the caller's fields."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chasqui.v1 import chat_pb2, tool_pb2
from edge.api.asked import Asked, errors_named
from edge.responses.asked import asked_response
from edge.responses.field_table import FIELDS
from edge.responses.request import MAX_LOGPROBS
from edge.responses.request_schema import ResponsesRequest
from services.chat.request.message_validation import check_messages
from services.chat.request.tool_validation import check_tools
from services.errors import InvalidValue, SlowReader, UnsupportedParameter
from tests.support import events
from tests.support.writers import events_in

BODY: dict[str, Any] = {"model": "m", "input": "Hi"}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
LOOK = {"type": "function", "name": "look", "description": "d", "parameters": SCHEMA, "strict": True}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": '{"n": 10.0}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "seen"}
# As Codex sends them beside its functions.
OTHERS = [{"type": "web_search", "search_context_size": "low"}, {"type": "namespace", "name": "mcp", "tools": [LOOK]}]


def asked(**fields: Any) -> Asked:
    return asked_response(json.dumps(BODY | fields).encode())


def request(**fields: Any) -> Any:
    return asked(**fields).requests[0]


def turns(*items: Any, **fields: Any) -> list[tuple[str, str, str]]:
    """Role, text and calls (or the call that it is the result of) of each message."""
    return [
        (
            chat_pb2.Role.Name(message.role)[5:].lower(),
            "".join(part.text for part in message.content),
            message.tool_call_id or " ".join(call.id for call in message.tool_calls),
        )
        for message in request(input=list(items), **fields).messages
    ]


def test_a_text_is_a_message_of_the_user_and_instructions_come_first() -> None:
    made = request(instructions="Be brief.")
    assert [(m.role, m.content[0].text) for m in made.messages] == [
        (chat_pb2.ROLE_SYSTEM, "Be brief."),
        (chat_pb2.ROLE_USER, "Hi"),
    ]


def test_items_become_messages_and_reasoning_is_dropped() -> None:
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]
    said: dict[str, Any] = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "phase": "commentary",
    }
    said["content"] = [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}]
    reasoning: dict[str, Any] = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": "x",
        "content": None,
    }
    items = [{"role": "developer", "content": "s"}, {"role": "user", "content": parts}, reasoning, said, CALL, OUTPUT]
    assert turns(*items) == [
        ("developer", "s", ""),
        ("user", "ab", ""),
        ("assistant", "I look.", "c1"),
        ("tool", "seen", "c1"),
    ]
    assert asked(input=items).ignored == []


def test_calls_in_a_row_are_one_message_and_calls_after_results_another() -> None:
    second = CALL | {"call_id": "c2"}
    both = turns(CALL, second, OUTPUT, OUTPUT | {"call_id": "c2"})
    assert [(role, calls) for role, _, calls in both] == [("assistant", "c1 c2"), ("tool", "c1"), ("tool", "c2")]
    apart = turns(CALL, OUTPUT, second, OUTPUT | {"call_id": "c2"})
    assert [role for role, _, _ in apart] == ["assistant", "tool"] * 2


def test_functions_are_offered_and_other_tools_left_out_and_named_once() -> None:
    made = asked(tools=[*OTHERS, LOOK])
    [tool] = made.requests[0].tools
    assert (tool.function.name, tool.function.description, tool.function.strict) == ("look", "d", True)
    assert json.loads(tool.function.parameters_json) == SCHEMA
    assert made.ignored == ["tools[0]", "tools[1]"]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_AUTO)),
        ("required", tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_REQUIRED)),
        ("none", tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_NONE)),
        ({"type": "function", "name": "look"}, tool_pb2.ToolChoice(function_name="look")),
    ],
)
def test_every_tool_choice_has_its_counterpart(choice: Any, expected: Any) -> None:
    assert request(tools=[LOOK], tool_choice=choice).tool_choice == expected


def test_allowed_tools_hide_the_others() -> None:
    tools = [{"type": "function", "name": "find"}, LOOK]
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}]}
    made = asked(tools=tools, tool_choice=allowed)
    assert [tool.function.name for tool in made.requests[0].tools] == ["look"]
    assert made.requests[0].tool_choice.mode == tool_pb2.TOOL_CHOICE_MODE_REQUIRED
    assert made.field_of("tools[0].function.parameters") == "tools[1].parameters"


def test_sampling_limits_and_the_form_are_those_of_the_contract() -> None:
    form = {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}
    made = request(
        temperature=0.5,
        top_p=0.9,
        seed=-2,
        max_output_tokens=7,
        user="u",
        parallel_tool_calls=False,
        text={"format": form},
    )
    assert (made.sampling.temperature, made.sampling.top_p, made.sampling.seed) == (0.5, 0.9, 2**63 - 2)
    assert (made.max_tokens, made.user, made.parallel_tool_calls) == (7, "u", False)
    assert request(service_tier="flex").service_tier == chat_pb2.SERVICE_TIER_FLEX
    more = {"top_k": 3, "min_p": 0.25, "repetition_penalty": 1.5, "presence_penalty": -1.0, "frequency_penalty": 0.5}
    sampling = request(**more, logit_bias={"7": 2}).sampling
    assert {name: getattr(sampling, name) for name in more} == more
    assert dict(sampling.logit_bias) == {7: 2}
    assert json.loads(made.response_format.json_schema.schema_json) == SCHEMA
    assert request(text={"format": {"type": "json_object"}}).response_format.HasField("json_object")
    assert not request(text={"format": {"type": "text"}}).HasField("response_format")


def test_log_probabilities_are_asked_for_by_include() -> None:
    made = request(include=LOGPROBS, top_logprobs=3)
    assert (made.logprobs, made.top_logprobs) == (True, 3)
    assert asked(include=LOGPROBS).field_of("logprobs") == "include"
    assert request(include=LOGPROBS, top_logprobs=3, max_output_tokens=MAX_LOGPROBS // 4).logprobs
    with pytest.raises(InvalidValue, match="top_logprobs"):
        request(include=LOGPROBS, top_logprobs=3, max_output_tokens=MAX_LOGPROBS // 4 + 1)
    assert not request(include=["reasoning.encrypted_content"]).logprobs


def test_what_codex_and_the_clients_add_is_accepted_and_named_where_its_loss_matters() -> None:
    made = asked(
        reasoning={"effort": "high", "summary": "auto"},
        include=["reasoning.encrypted_content"],
        prompt_cache_key="k",
        truncation="auto",
        text={"verbosity": "low"},
        stream_options={"include_obfuscation": False},
    )
    assert made.ignored == ["reasoning", "text.verbosity", "truncation"]


LOGPROBS = ["message.output_text.logprobs"]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"input": None}, "input"),
    ({"max_output_tokens": -1}, "max_output_tokens"),
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"store": True}, "store"),
    ({"conversation": "conv_1"}, "conversation"),
    ({"background": True}, "background"),
    ({"prompt": {"id": "p"}}, "prompt"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"top_logprobs": 21, "include": LOGPROBS}, "top_logprobs"),
    ({"metadata": {"a": 1}}, "metadata"),
    ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
    ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ({"tools": [*OTHERS, LOOK], "tool_choice": {"type": "web_search"}}, "tool_choice.type"),
    ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
    ({"tool_choice": "any"}, "tool_choice"),
    (
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "x"}]}},
        "tool_choice.tools[0]",
    ),
    ({"input": [{"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "x"}]}, "input[0].type"),
    ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
    ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
    ({"input": [{"content": "x"}]}, "input[0].role"),
    ({"input": [{"role": "user"}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input[0].content[0]"),
    ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
    ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
    ({"input": [OUTPUT | {"output": [{"type": "input_image"}]}]}, "input[0].output[0]"),
]


@pytest.mark.parametrize(("fields", "param"), REFUSED, ids=str)
def test_what_cannot_be_honoured_is_refused_by_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        asked(**fields)
    assert caught.value.param == param
    assert param in caught.value.message


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": [OUTPUT]}, "input[0].call_id"),
        ({"instructions": "s", "input": [OUTPUT, CALL]}, "input[0].call_id"),
        ({"input": [CALL, CALL]}, "input[1].call_id"),
        ({"input": [CALL, OUTPUT, OUTPUT]}, "input[2].call_id"),
        ({"input": [CALL | {"name": None}]}, "input[0].name"),
        ({"input": [{"role": "user", "content": []}]}, "input[0].content"),
        ({"tools": [OTHERS[0], LOOK, LOOK]}, "tools[2].name"),
        ({"tools": [LOOK | {"parameters": []}]}, "tools[0].parameters"),
        ({"tools": [LOOK], "tool_choice": {"type": "function", "name": "x"}}, "tool_choice"),
    ],
    ids=str,
)
def test_what_the_chat_server_refuses_is_named_by_the_callers_path(fields: dict[str, Any], param: str) -> None:
    made = asked(**fields)
    with pytest.raises(InvalidValue) as caught, errors_named(made.field_of):
        check_messages(made.requests[0].messages)
        check_tools(made.requests[0])
    assert caught.value.param == param
    assert param in caught.value.message


keys = st.sampled_from(
    ["type", "role", "content", "text", "call_id", "name", "arguments", "output", "format", "schema"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys | st.text(max_size=4), inner, max_size=5),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*FIELDS[ResponsesRequest], "nobody"]), values, max_size=4))
def test_a_request_of_any_shape_is_translated_or_refused(fields: dict[str, Any]) -> None:
    with suppress(InvalidValue):
        asked(**fields)


def test_a_response_repeats_what_was_asked_for() -> None:
    fields = {
        "instructions": "s",
        "metadata": {"a": "b"},
        "tools": [*OTHERS, LOOK],
        "tool_choice": {"type": "function", "name": "look"},
        "temperature": 0.25,
        "max_output_tokens": 5,
        "text": {"format": {"type": "json_object"}},
        "include": LOGPROBS,
        "top_logprobs": 2,
    }
    answer = asked(**fields).new_answer()
    answer.add_all(events.events_of(events.response(events.choice("Hello!"))))
    response = json.loads(b"".join(answer.json()))
    repeated = {name: response[name] for name in fields if name != "include"}
    assert repeated | {"include": LOGPROBS} == fields | {"tools": [LOOK]}
    assert (response["store"], response["previous_response_id"]) == (False, None)
    assert response["usage"]["input_tokens_details"] == {"cached_tokens": 8}
    assert response["model"] == events.MODEL


def test_a_failed_stream_ends_with_the_response_and_why() -> None:
    writer = asked(stream=True).new_writer()
    data = writer.others([events.started()]) + writer.text(0, "Hel") + writer.failed(SlowReader())
    seen = events_in(data)
    assert [event["sequence_number"] for _, event in seen] == list(range(len(seen)))
    name, event = seen[-1]
    assert name == "response.failed"
    assert event["response"]["status"] == "failed"
    assert event["response"]["error"]["code"] == "rate_limit_exceeded"
    [item] = event["response"]["output"]
    assert (item["status"], item["content"][0]["text"]) == ("incomplete", "Hel")


def test_a_tool_choice_of_a_tool_that_is_left_out_is_refused_as_unsupported() -> None:
    with pytest.raises(UnsupportedParameter, match="web_search"):
        asked(tools=OTHERS, tool_choice={"type": "web_search"})
