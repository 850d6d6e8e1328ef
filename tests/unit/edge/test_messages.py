"""Messages requests as the contract's, and errors by the paths of the caller's fields."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chasqui.v1 import chat_pb2, tool_pb2
from edge.anthropic.answer_schema import AnthropicError
from edge.anthropic.asked import asked_count, asked_messages
from edge.anthropic.envelope import envelope
from edge.anthropic.field_table import FIELDS
from edge.anthropic.request_schema import MessagesRequest
from edge.api.asked import Asked, errors_named
from edge.api.errors import failure_of
from services.chat.request.message_validation import check_messages
from services.chat.request.tool_validation import check_tools
from services.errors import (
    ChasquiError,
    ContextLengthExceeded,
    EngineFailed,
    InvalidValue,
    Unavailable,
    UnsupportedParameter,
)

BODY: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
HI = {"role": "user", "content": "Hi"}
LOOK = {"name": "look", "input_schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
USE = {"type": "tool_use", "id": "t1", "name": "look", "input": {"n": 10.0}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "seen"}]}


def asked(**fields: Any) -> Asked:
    return asked_messages(json.dumps(BODY | fields).encode())


def request(**fields: Any) -> Any:
    return asked(**fields).requests[0]


def turns(*messages: Any) -> list[tuple[str, str, str]]:
    """Role, text and call id of each message."""
    made = request(messages=[{"role": role, "content": content} for role, content in messages])
    return [
        (chat_pb2.Role.Name(m.role)[5:].lower(), "".join(part.text for part in m.content), m.tool_call_id)
        for m in made.messages
    ]


def test_system_text_and_blocks_come_first() -> None:
    for system in (
        "Be brief.",
        [{"type": "text", "text": "Be ", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "brief."}],
    ):
        first = request(system=system).messages[0]
        assert first.role == chat_pb2.ROLE_SYSTEM
        assert "".join(part.text for part in first.content) == "Be brief."


def test_results_become_tool_messages_and_the_texts_around_them_user_messages() -> None:
    blocks = [{"type": "text", "text": "a"}, RESULT, {"type": "text", "text": "b"}, {"type": "text", "text": "c"}]
    assert turns(("user", "Hi"), ("assistant", [USE]), ("user", blocks)) == [
        ("user", "Hi", ""),
        ("assistant", "", ""),
        ("user", "a", ""),
        ("tool", "seen", "t1"),
        ("user", "bc", ""),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no such file", "Error: no such file"),
        ([{"type": "text", "text": "no such "}, {"type": "text", "text": "file"}], "Error: no such file"),
        ("", "Error"),
        (None, "Error"),
        ("Error: no such file", "Error: no such file"),
        ("<tool_use_error>no such file</tool_use_error>", "<tool_use_error>no such file</tool_use_error>"),
        ("a long text that speaks of an error later", "Error: a long text that speaks of an error later"),
    ],
)
def test_a_failed_result_says_so_in_the_prompt_once(content: Any, said: str) -> None:
    failed = RESULT | {"content": content, "is_error": True}
    assert turns(("assistant", [USE]), ("user", [failed]))[1] == ("tool", said, "t1")
    fine = turns(("assistant", [USE]), ("user", [failed | {"is_error": False}]))[1][1]
    assert fine == ("".join(part["text"] for part in content) if isinstance(content, list) else content or "")


def test_an_answer_of_text_thinking_and_calls_is_one_message_whose_input_is_verbatim() -> None:
    data = json.dumps(BODY | {"messages": [{"role": "assistant", "content": "HERE"}, BODY["messages"][0]]})
    blocks = '[{"type":"thinking","thinking":"x","signature":"y"},{"type":"text","text":"I look."},' + (
        '{"type":"tool_use","id":"t1","name":"look","input":{"b":1.0, "a":2}}]'
    )
    message = asked_messages(data.replace('"HERE"', blocks).encode()).requests[0].messages[0]
    assert [part.text for part in message.content] == ["I look."]
    [call] = message.tool_calls
    assert (call.id, call.function.name, call.function.arguments) == ("t1", "look", '{"b":1.0, "a":2}')


def test_a_system_message_among_the_others_keeps_its_place() -> None:
    assert [role for role, _, _ in turns(("user", "a"), ("system", "b"), ("user", "c"))] == ["user", "system", "user"]


def test_a_last_message_of_the_assistant_is_continued() -> None:
    made = asked(messages=[HI, {"role": "assistant", "content": "The answer is"}])
    assert made.requests[0].continue_final_message
    assert made.field_of("continue_final_message") == "messages[1]"
    assert not request().HasField("continue_final_message")


def test_tools_are_offered_and_those_that_only_anthropic_has_are_left_out_and_named() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}
    made = asked(tools=[search, {**LOOK, "defer_loading": True, "strict": True}])
    [tool] = made.requests[0].tools
    assert tool.function.name == "look"
    assert tool.function.strict
    assert json.loads(tool.function.parameters_json) == LOOK["input_schema"]
    assert set(made.ignored) >= {"tools[0]"}
    with pytest.raises(UnsupportedParameter, match="web_search"):
        asked(tools=[search], tool_choice={"type": "tool", "name": "web_search"})


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_AUTO)),
        ({"type": "any"}, tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_REQUIRED)),
        ({"type": "none"}, tool_pb2.ToolChoice(mode=tool_pb2.TOOL_CHOICE_MODE_NONE)),
        ({"type": "tool", "name": "look"}, tool_pb2.ToolChoice(function_name="look")),
    ],
)
@pytest.mark.parametrize("disable", [None, False, True])
def test_every_tool_choice_has_its_counterpart(choice: dict[str, Any], expected: Any, disable: bool | None) -> None:
    made = request(tools=[LOOK], tool_choice={**choice, "disable_parallel_tool_use": disable})
    assert made.tool_choice == expected
    assert made.HasField("parallel_tool_calls") is bool(disable)
    assert not made.parallel_tool_calls


def test_sampling_stops_the_user_and_the_form_are_those_of_the_contract() -> None:
    schema = {"type": "object"}
    made = request(
        temperature=0.5,
        top_p=0.9,
        top_k=7,
        stop_sequences=["END", ""],
        metadata={"user_id": "u"},
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    assert (made.sampling.temperature, made.sampling.top_p, made.sampling.top_k) == (0.5, 0.9, 7)
    assert list(made.stop) == ["END"]
    assert made.user == "u"
    assert json.loads(made.response_format.json_schema.schema_json) == schema
    assert request(max_tokens=2**40).max_tokens == 1_000_000


def test_what_claude_code_adds_by_itself_is_accepted_and_named() -> None:
    made = asked(thinking={"type": "adaptive"}, context_management={"edits": []}, output_config={"effort": "high"})
    assert list(made.ignored) == ["context_management", "output_config.effort", "thinking"]
    assert asked(thinking={"type": "disabled"}, cache_control={"type": "ephemeral"}).ignored == []


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"top_k": 5000}, "top_k"),
    ({"stop_sequences": ["x"] * 17}, "stop_sequences"),
    ({"thread": {"type": "create"}}, "thread"),
    ({"mcp_servers": [{"name": "a"}]}, "mcp_servers"),
    ({"container": "c"}, "container"),
    ({"service_tier": "priority"}, "service_tier"),
    ({"system": [{"type": "image"}]}, "system[0]"),
    ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"output_format": {"type": "json_schema"}}, "output_format.schema"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0]"),
    ({"messages": [{"role": "user", "content": [{"type": "document"}]}]}, "messages[0].content[0]"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
    ({"messages": [{"role": "user", "content": [USE]}]}, "messages[0].content[0]"),
    (
        {"messages": [{"role": "user", "content": [RESULT | {"content": [{"type": "image"}]}]}]},
        "messages[0].content[0].content[0]",
    ),
    ({"messages": [{"role": "assistant", "content": [RESULT]}]}, "messages[0].content[0]"),
]


@pytest.mark.parametrize(
    ("fields", "param"), REFUSED, ids=[f"{param} {number}" for number, (_, param) in enumerate(REFUSED)]
)
def test_what_cannot_be_honoured_is_refused_by_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        asked(**fields)
    assert caught.value.param == param
    assert param in caught.value.message


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [RESULT]}]}, "messages[0].content[0].tool_use_id"),
        (
            {
                "system": "s",
                "messages": [{"role": "assistant", "content": [USE, USE]}, HI],
            },
            "messages[0].content[1].id",
        ),
        (
            {"messages": [{"role": "assistant", "content": [USE | {"name": None}]}, HI]},
            "messages[0].content[0].name",
        ),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}, LOOK, LOOK]}, "tools[2].name"),
        ({"tools": [{"name": "look", "input_schema": []}]}, "tools[0].input_schema"),
        ({"tools": [LOOK], "tool_choice": {"type": "tool", "name": "other"}}, "tool_choice"),
    ],
)
def test_what_the_chat_server_refuses_is_named_by_the_callers_path(fields: dict[str, Any], param: str) -> None:
    made = asked(**fields)
    with pytest.raises(InvalidValue) as caught, errors_named(made.field_of):
        check_messages(made.requests[0].messages)
        check_tools(made.requests[0])
    assert caught.value.param == param
    assert param in caught.value.message


def test_other_fields_of_the_contract_have_their_name_in_this_api() -> None:
    field_of = asked(output_format={"type": "json_schema", "schema": {}}).field_of
    assert field_of("stop[3]") == "stop_sequences[3]"
    assert field_of("response_format.json_schema.schema.properties") == "output_format.schema.properties"
    assert field_of("temperature") == "temperature"


def test_a_count_is_of_the_same_prompt() -> None:
    fields = {"system": "s", "tools": [LOOK], "tool_choice": {"type": "none"}, "thinking": {"type": "adaptive"}}
    wanted, ignored, _ = asked_count(json.dumps({"model": "m", "messages": BODY["messages"], **fields}).encode())
    made = request(**fields)
    assert (wanted.chat.messages, wanted.chat.tools, wanted.chat.tool_choice) == (
        made.messages,
        made.tools,
        made.tool_choice,
    )
    assert ignored == ["thinking"]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "type",
                        "text",
                        "content",
                        "role",
                        "id",
                        "name",
                        "input",
                        "tool_use_id",
                        "input_schema",
                        "user_id",
                        "format",
                    ),
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*FIELDS[MessagesRequest], "nobody"]), values, max_size=4))
def test_a_request_of_any_shape_is_translated_or_refused(fields: dict[str, Any]) -> None:
    for read in (asked_messages, asked_count):
        with suppress(InvalidValue):
            read(json.dumps(BODY | fields).encode())


def test_a_prompt_that_is_too_long_is_called_that_as_claude_code_expects() -> None:
    body = json.loads(envelope(failure_of(ContextLengthExceeded("9 tokens, but 5 fit.", param="messages"))))
    assert body["error"]["message"] == "prompt is too long: 9 tokens, but 5 fit."


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (InvalidValue("system is 1.", param="system"), "invalid_request_error", "invalid_value"),
        (
            UnsupportedParameter("thread is not supported.", param="thread"),
            "invalid_request_error",
            "thread_unsupported_request",
        ),
        (Unavailable("Full.", reason="OVERLOADED", retry_after=1.0), "overloaded_error", "overloaded"),
        (EngineFailed("It broke."), "api_error", "engine_failed"),
    ],
)
def test_errors_have_anthropics_envelope(error: ChasquiError, kind: str, code: str) -> None:
    body = json.loads(envelope(failure_of(error)))
    assert body == {
        "type": AnthropicError.__struct_config__.tag,
        "error": {"type": kind, "message": error.message, "details": {"error_code": code, "param": error.param}},
    }
