"""Histories of any shape become what Llama 3.1's template can render."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chasqui.v1 import chat_pb2, tool_pb2
from services.chat.request.history import template_messages, template_tools
from services.chat.request.template import Verbatim

USER, ASSISTANT, TOOL = chat_pb2.ROLE_USER, chat_pb2.ROLE_ASSISTANT, chat_pb2.ROLE_TOOL


def say(role: chat_pb2.Role.ValueType, *texts: str, call_id: str = "") -> chat_pb2.Message:
    parts = [chat_pb2.ContentPart(text=text) for text in texts]
    return chat_pb2.Message(role=role, content=parts, tool_call_id=call_id)


def calling(*ids: str, text: str = "") -> chat_pb2.Message:
    calls = [
        tool_pb2.ToolCall(id=one, function=tool_pb2.FunctionCall(name=f"f_{one}", arguments=f'{{"a": "{one}"}}'))
        for one in ids
    ]
    content = [chat_pb2.ContentPart(text=text)] if text else []
    return chat_pb2.Message(role=ASSISTANT, content=content, tool_calls=calls)


def shape(*messages: chat_pb2.Message) -> list[str]:
    """Each turn in a word: its role and its text, or the call that it makes."""
    turns = template_messages(messages)
    return [
        f"{turn['role']}:{turn['tool_calls'][0]['function']['arguments']['a']}!"
        if turn.get("tool_calls")
        else f"{turn['role']}:{turn['content']}"
        for turn in turns
    ]


def test_each_call_of_a_message_becomes_a_turn_followed_by_its_own_result() -> None:
    history = (calling("x", "y"), say(TOOL, "for y", call_id="y"), say(TOOL, "for x", call_id="x"))
    assert shape(say(USER, "Hi"), *history) == ["user:Hi", "assistant:x!", "tool:for x", "assistant:y!", "tool:for y"]


def test_text_beside_calls_comes_first_as_a_turn_of_its_own() -> None:
    assert shape(calling("x", text="Let me see.")) == ["assistant:Let me see.", "assistant:x!"]


def test_where_a_turn_may_have_several_calls_their_results_follow_in_the_order_of_the_calls() -> None:
    history = [calling("x", "y", text="So."), say(TOOL, "for y", call_id="y"), say(TOOL, "for x", call_id="x")]
    turns = template_messages(history, one_call_per_turn=False)
    assert [turn["role"] for turn in turns] == ["assistant", "tool", "tool"]
    assert turns[0]["content"] == "So."
    assert [call["function"]["name"] for call in turns[0]["tool_calls"]] == ["f_x", "f_y"]
    assert [turn["content"] for turn in turns[1:]] == ["for x", "for y"]


def test_a_call_without_a_result_stands_alone() -> None:
    history = (calling("x", "y"), say(TOOL, "for y", call_id="y"), say(USER, "Well?"))
    assert shape(*history) == ["assistant:x!", "assistant:y!", "tool:for y", "user:Well?"]


def test_parts_of_a_result_are_joined_with_nothing_between_them() -> None:
    assert shape(calling("x"), say(TOOL, "a", "b", call_id="x"))[-1] == "tool:ab"


def test_a_tool_without_parameters_takes_none() -> None:
    tool = tool_pb2.Tool(function=tool_pb2.FunctionTool(name="now"))
    assert template_tools([tool]) == [
        {
            "type": "function",
            "function": {"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}},
        }
    ]


def test_parameters_keep_the_order_of_their_keys() -> None:
    tool = tool_pb2.Tool(function=tool_pb2.FunctionTool(name="f", parameters_json='{"z": 1, "a": {"y": 2, "b": 3}}'))
    parameters = (template_tools([tool]) or [])[0]["function"]["parameters"]
    assert list(parameters) == ["z", "a"]
    assert list(parameters["a"]) == ["y", "b"]


def test_no_tools_are_none_for_the_template() -> None:
    assert template_tools([]) is None


def arguments(text: str) -> Any:
    """What a template gets for the arguments of a call."""
    made = tool_pb2.ToolCall(id="c", function=tool_pb2.FunctionCall(name="f", arguments=text))
    (turn,) = template_messages([chat_pb2.Message(role=ASSISTANT, tool_calls=[made])])
    return turn["tool_calls"][0]["function"]["arguments"]


@pytest.mark.parametrize(
    ("text", "mapping"),
    [
        ("", {}),
        ("null", {}),
        ("{}", {}),
        ('{"a": 10.0, "b": [1]}', {"a": 10.0, "b": [1]}),
        (json.dumps('{"a": 1}'), {"a": 1}),
        ('{"a": "\\ud83e\\udd99"}', {"a": "🦙"}),
    ],
    ids=["absent", "null", "empty", "an object", "encoded twice", "a surrogate pair"],
)
def test_arguments_are_a_mapping_for_the_template(text: str, mapping: dict[str, Any]) -> None:
    assert arguments(text) == mapping


@pytest.mark.parametrize(
    "text",
    [
        '{"city": "Par',
        "[1]",
        "5",
        "get_weather(Paris)",
        '"Paris"',
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": ' + "9" * 5000 + "}",
        '{"a": "\\ud83d"}',
        '{"a": ' + "[" * 600 + "]" * 600 + "}",
        "[" * 100_000,
        '{"a": "' + "x" * 2_000_000 + '"}',
    ],
    ids=lambda text: text[:20],
)
def test_arguments_that_are_no_json_object_reach_the_template_as_they_are(text: str) -> None:
    assert arguments(text) == text
    assert isinstance(arguments(text), Verbatim)


def test_an_id_that_is_used_again_has_a_result_in_each_turn() -> None:
    def turn(text: str) -> list[chat_pb2.Message]:
        return [say(USER, text), calling("x"), say(TOOL, f"for {text}", call_id="x")]

    assert shape(*turn("one"), *turn("two")) == [
        *("user:one", "assistant:x!", "tool:for one"),
        *("user:two", "assistant:x!", "tool:for two"),
    ]


def test_an_empty_answer_and_an_empty_result_are_empty_turns() -> None:
    history = (say(ASSISTANT), calling("x"), say(TOOL, call_id="x"))
    assert shape(*history) == ["assistant:", "assistant:x!", "tool:"]
