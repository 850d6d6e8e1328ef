"""The conversation of a Messages request as the contract's messages; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chasqui.v1 import chat_pb2, tool_pb2
from edge.api.json_text import quoted, text_or_json
from services.errors import InvalidValue, UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.anthropic.request_schema import BlockBody, PromptRequest, TextBlockBody, TurnBody
    from edge.api.origins import Origins

_ROLES: Final = {
    "user": chat_pb2.ROLE_USER,
    "assistant": chat_pb2.ROLE_ASSISTANT,
    "system": chat_pb2.ROLE_SYSTEM,
}
_ERROR: Final = "error"
_BEGINNING: Final = 24  # characters of a result in which it may call itself an error, as in <tool_use_error>
_THINKING: Final = frozenset({"thinking", "redacted_thinking"})


def messages_of(body: PromptRequest, origins: Origins) -> list[chat_pb2.Message]:
    """The messages; where they come from is added to `origins`.

    InvalidValue or UnsupportedParameter names the field that is wrong.
    """
    conversation = _Conversation(origins)
    conversation.add_system(body.system)
    for index, turn in enumerate(body.messages):
        conversation.add_turn(turn, f"messages[{index}]")
    return conversation.messages


class _Conversation:
    def __init__(self, origins: Origins) -> None:
        self.messages: list[chat_pb2.Message] = []
        self._origins = origins

    def add_system(self, system: str | Sequence[TextBlockBody] | None) -> None:
        """The system prompt, which comes first."""
        if system:
            self._add(chat_pb2.ROLE_SYSTEM, _texts(system, "system"), "system")

    def add_turn(self, turn: TurnBody, path: str) -> None:
        """The next message."""
        role = _ROLES.get(turn.role)
        if role is None:
            raise InvalidValue(
                f"{path}.role is {quoted(turn.role)}, but must be one of {', '.join(_ROLES)}.", param=f"{path}.role"
            )
        if isinstance(turn.content, str):
            self._add(role, [chat_pb2.ContentPart(text=turn.content)], path)
        elif role == chat_pb2.ROLE_ASSISTANT:
            self._add_answer(turn.content, path)
        else:
            self._add_blocks(role, turn.content, path)

    def _add(self, role: chat_pb2.Role.ValueType, content: list[chat_pb2.ContentPart], path: str) -> chat_pb2.Message:
        message = chat_pb2.Message(role=role, content=content)
        self.messages.append(message)
        self._origins.add_message(path)
        return message

    def _add_answer(self, blocks: Sequence[BlockBody], path: str) -> None:
        """A message of the assistant: its text, and its calls."""
        message = self._add(chat_pb2.ROLE_ASSISTANT, [], path)
        for index, block in enumerate(blocks):
            place = f"{path}.content[{index}]"
            if block.type == "text":
                message.content.append(_text(block, place))
            elif block.type == "tool_use":
                message.tool_calls.append(_call(block, place))
                self._origins.calls[-1].append(place)
            elif block.type not in _THINKING:
                raise _unsupported(block.type, place, "text and tool_use")

    def _add_blocks(self, role: chat_pb2.Role.ValueType, blocks: Sequence[BlockBody], path: str) -> None:
        """A message of the user: its results are messages of their own, the texts between them others."""
        texts: list[chat_pb2.ContentPart] = []
        for index, block in enumerate(blocks):
            place = f"{path}.content[{index}]"
            if block.type == "text":
                texts.append(_text(block, place))
            elif block.type == "tool_result" and role == chat_pb2.ROLE_USER:
                if texts:
                    self._add(role, texts, path)
                    texts = []
                result = self._add(chat_pb2.ROLE_TOOL, _result(block, f"{place}.content"), place)
                result.tool_call_id = block.tool_use_id or ""
            else:
                raise _unsupported(block.type, place, "text and tool_result" if role == chat_pb2.ROLE_USER else "text")
        if texts or not blocks:
            self._add(role, texts, path)


def _result(block: BlockBody, path: str) -> list[chat_pb2.ContentPart]:
    """What a tool has returned. No chat template has a mark for a failure: the text says so, as tools mostly do."""
    parts = _texts(block.content or (), path)
    text = "".join(part.text for part in parts)
    if block.is_error and _ERROR not in text[:_BEGINNING].lower():
        parts.insert(0, chat_pb2.ContentPart(text="Error: " if text else "Error"))
    return parts


def _texts(given: str | Sequence[TextBlockBody], path: str) -> list[chat_pb2.ContentPart]:
    if isinstance(given, str):
        return [chat_pb2.ContentPart(text=given)]
    parts = []
    for index, block in enumerate(given):
        place = f"{path}[{index}]"
        if block.type != "text":
            raise _unsupported(block.type, place, "text")
        parts.append(_text(block, place))
    return parts


def _text(block: BlockBody | TextBlockBody, path: str) -> chat_pb2.ContentPart:
    if block.text is None:
        raise InvalidValue(f"{path}.text: a required field is missing.", param=f"{path}.text")
    return chat_pb2.ContentPart(text=block.text)


def _call(block: BlockBody, path: str) -> tool_pb2.ToolCall:
    arguments = text_or_json(block.input, f"{path}.input")
    return tool_pb2.ToolCall(
        id=block.id or "", function=tool_pb2.FunctionCall(name=block.name or "", arguments=arguments)
    )


def _unsupported(kind: str, path: str, supported: str) -> UnsupportedParameter:
    return UnsupportedParameter(
        f"{path}: blocks of type {quoted(kind)} are not supported here, only {supported}.", param=path
    )
