"""From the contract's messages and tools to what chat templates understand; pure.

OpenAI's histories hold several calls in one message, and their results in any order; results are put in the order of
their calls. Llama 3.1's template takes one call per assistant message and drops the text beside it: there, such a
message becomes its text, if it has any, and one assistant turn per call, each followed by its own result.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from chasqui.v1 import chat_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1.tool_pb2 import Tool, ToolCall

TemplateMessage = dict[str, Any]

# The names that chat templates know.
_ROLE_NAMES = {
    chat_pb2.ROLE_SYSTEM: "system",
    chat_pb2.ROLE_DEVELOPER: "system",
    chat_pb2.ROLE_USER: "user",
    chat_pb2.ROLE_ASSISTANT: "assistant",
    chat_pb2.ROLE_TOOL: "tool",
}


def template_messages(messages: Sequence[chat_pb2.Message], *, one_call_per_turn: bool = True) -> list[TemplateMessage]:
    """The conversation as a template's `messages`; validated messages only.

    With `one_call_per_turn` a message of several calls becomes several turns, as Llama 3.1's template needs it.
    """
    results = {message.tool_call_id: _turn(message) for message in messages if message.role == chat_pb2.ROLE_TOOL}
    turns: list[TemplateMessage] = []
    for message in messages:
        if message.role == chat_pb2.ROLE_TOOL:
            continue  # stands behind its call
        if not message.tool_calls:
            turns.append(_turn(message))
            continue
        text, calls = _turn(message), message.tool_calls
        if one_call_per_turn:
            if text["content"]:
                turns.append(text)
            for call in calls:
                turns.append({"role": "assistant", "content": None, "tool_calls": [_call(call)]})
                turns += [results[call.id]] if call.id in results else []
        else:
            turns.append(text | {"tool_calls": [_call(call) for call in calls]})
            turns += [results[call.id] for call in calls if call.id in results]
    return turns


def template_tools(tools: Sequence[Tool]) -> list[dict[str, Any]] | None:
    """The tools as a template's `tools`, as OpenAI writes them; None if there are none."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.function.name,
                "description": tool.function.description,
                "parameters": json.loads(tool.function.parameters_json or '{"type": "object", "properties": {}}'),
            },
        }
        for tool in tools
    ] or None


def _turn(message: chat_pb2.Message) -> TemplateMessage:
    return {"role": _ROLE_NAMES[message.role], "content": "".join(part.text for part in message.content)}


def _call(call: ToolCall) -> dict[str, Any]:
    """A call as templates want it: its arguments are a mapping, not text."""
    function = call.function
    return {"type": "function", "function": {"name": function.name, "arguments": json.loads(function.arguments)}}
