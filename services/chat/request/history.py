"""From the contract's messages and tools to the variables of chat templates; pure.

OpenAI's histories have several calls in one message, and their results in any order; results are put in the order of
their calls. Llama 3.1's template takes one call per assistant message and drops the text beside it: there, such a
message becomes its text, if it has any, and one assistant turn per call, each followed by its own result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chasqui.v1 import chat_pb2
from services.chat.request.template import Verbatim
from services.json_text import JsonTextError, json_value, parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1.tool_pb2 import Tool, ToolCall

TemplateMessage = dict[str, Any]

# The names of the roles in chat templates.
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
    results = _results(messages)
    turns: list[TemplateMessage] = []
    for index, message in enumerate(messages):
        if message.role == chat_pb2.ROLE_TOOL:
            continue  # comes after its call
        if not message.tool_calls:
            turns.append(_turn(message))
            continue
        text, calls = _turn(message), message.tool_calls
        if one_call_per_turn:
            if text["content"]:
                turns.append(text)
            for call in calls:
                turns.append({"role": "assistant", "content": None, "tool_calls": [_call(call)]})
                turns += [results[index, call.id]] if (index, call.id) in results else []
        else:
            turns.append(text | {"tool_calls": [_call(call) for call in calls]})
            turns += [results[index, call.id] for call in calls if (index, call.id) in results]
    return turns


def template_tools(tools: Sequence[Tool]) -> list[dict[str, Any]] | None:
    """The tools as a template's `tools`, as OpenAI writes them; None if there are none."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.function.name,
                "description": tool.function.description,
                "parameters": parse_json(
                    tool.function.parameters_json or '{"type": "object", "properties": {}}',
                    f"tools[{index}].function.parameters",
                ),
            },
        }
        for index, tool in enumerate(tools)
    ] or None


def _results(messages: Sequence[chat_pb2.Message]) -> dict[tuple[int, str], TemplateMessage]:
    """The turns of tool messages, by the index of the latest message that has their call, and the id of the call."""
    latest: dict[str, int] = {}
    results: dict[tuple[int, str], TemplateMessage] = {}
    for index, message in enumerate(messages):
        if message.role == chat_pb2.ROLE_TOOL:
            results[latest[message.tool_call_id], message.tool_call_id] = _turn(message)
        for call in message.tool_calls:
            latest[call.id] = index
    return results


def _turn(message: chat_pb2.Message) -> TemplateMessage:
    return {"role": _ROLE_NAMES[message.role], "content": "".join(part.text for part in message.content)}


def _call(call: ToolCall) -> TemplateMessage:
    function = call.function
    return {"type": "function", "function": {"name": function.name, "arguments": _arguments(function.arguments)}}


def _arguments(text: str) -> dict[str, Any] | Verbatim:
    """The arguments of a call as templates expect them, a mapping; text that is none, such as a cut call, verbatim.

    Absent arguments and null are an empty mapping. Some clients encode a mapping twice.
    """
    try:
        value = json_value(text or "{}")
        if isinstance(value, str):
            value = json_value(value)
    except JsonTextError:
        return Verbatim(text)
    if value is None:
        return {}
    return value if isinstance(value, dict) else Verbatim(text)
