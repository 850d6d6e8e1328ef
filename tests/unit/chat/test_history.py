"""Histories of any shape become what Llama 3.1's template can render."""

from __future__ import annotations

from chasqui.v1 import chat_pb2, tool_pb2
from services.chat.request.history import template_messages, template_tools

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
