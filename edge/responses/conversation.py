"""The items of a Responses request as the contract's messages; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chasqui.v1 import chat_pb2, tool_pb2
from edge.api.json_text import quoted
from services.errors import InvalidValue, UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.api.origins import Origins
    from edge.responses.request_schema import InputItemBody, InputPartBody, ResponsesRequest

_ROLES: Final = {
    "user": chat_pb2.ROLE_USER,
    "assistant": chat_pb2.ROLE_ASSISTANT,
    "system": chat_pb2.ROLE_SYSTEM,
    "developer": chat_pb2.ROLE_DEVELOPER,
}
_HISTORY: Final = "previous_response_id"
_TEXTS: Final = frozenset({"input_text", "output_text", "text"})


def messages_of(body: ResponsesRequest, history: Sequence[InputItemBody], origins: Origins) -> list[chat_pb2.Message]:
    """The messages, those of `history` before the input; where they come from is added to `origins`.

    InvalidValue or UnsupportedParameter names the field that is wrong.
    """
    conversation = _Conversation(origins)
    if body.instructions is not None:
        conversation.add(chat_pb2.ROLE_SYSTEM, [chat_pb2.ContentPart(text=body.instructions)], "instructions")
    for item in history:
        conversation.add_item(item, _HISTORY)
    if isinstance(body.input, str):
        conversation.add(chat_pb2.ROLE_USER, [chat_pb2.ContentPart(text=body.input)], "input")
    else:
        for index, item in enumerate(body.input):
            conversation.add_item(item, f"input[{index}]")
    return conversation.messages


class _Conversation:
    def __init__(self, origins: Origins) -> None:
        self.messages: list[chat_pb2.Message] = []
        self._origins = origins

    def add(self, role: chat_pb2.Role.ValueType, content: list[chat_pb2.ContentPart], path: str) -> chat_pb2.Message:
        """A message."""
        message = chat_pb2.Message(role=role, content=content)
        self.messages.append(message)
        self._origins.add_message(path)
        return message

    def add_item(self, item: InputItemBody, path: str) -> None:
        """The next item."""
        if item.type in (None, "message"):
            self.add(_role(item, path), _contents(item.content, f"{path}.content"), path)
        elif item.type == "function_call":
            self._add_call(item, path)
        elif item.type == "function_call_output":
            if item.output is None:
                raise _missing(f"{path}.output")
            result = self.add(chat_pb2.ROLE_TOOL, _contents(item.output, f"{path}.output"), path)
            result.tool_call_id = item.call_id or ""
        elif item.type != "reasoning":
            raise UnsupportedParameter(
                f"{path}.type: items of type {quoted(item.type or '')} are not supported.", param=f"{path}.type"
            )

    def _add_call(self, item: InputItemBody, path: str) -> None:
        """A call belongs to the message of the assistant right before it, as do several calls in a row."""
        call = tool_pb2.ToolCall(
            id=item.call_id or "",
            function=tool_pb2.FunctionCall(name=item.name or "", arguments=item.arguments or ""),
        )
        if not self.messages or self.messages[-1].role != chat_pb2.ROLE_ASSISTANT:
            self.add(chat_pb2.ROLE_ASSISTANT, [], path)
        self.messages[-1].tool_calls.append(call)
        self._origins.calls[-1].append(path)


def _role(item: InputItemBody, path: str) -> chat_pb2.Role.ValueType:
    if item.role is None:
        raise _missing(f"{path}.role")
    role = _ROLES.get(item.role)
    if role is None:
        raise InvalidValue(
            f"{path}.role is {quoted(item.role)}, but must be one of {', '.join(_ROLES)}.", param=f"{path}.role"
        )
    return role


def _contents(given: str | Sequence[InputPartBody] | None, path: str) -> list[chat_pb2.ContentPart]:
    if given is None:
        raise _missing(path)
    if isinstance(given, str):
        return [chat_pb2.ContentPart(text=given)]
    return [_part(part, f"{path}[{index}]") for index, part in enumerate(given)]


def _part(part: InputPartBody, path: str) -> chat_pb2.ContentPart:
    if part.type not in _TEXTS and part.type != "refusal":
        raise UnsupportedParameter(
            f"{path}: parts of type {quoted(part.type)} are not supported, only text.", param=path
        )
    text = part.refusal if part.type == "refusal" else part.text
    if text is None:
        raise _missing(f"{path}.{'refusal' if part.type == 'refusal' else 'text'}")
    return chat_pb2.ContentPart(text=text)


def _missing(path: str) -> InvalidValue:
    return InvalidValue(f"{path}: a required field is missing.", param=path)
