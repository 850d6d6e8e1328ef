"""Refuses conversations that cannot be rendered. What this service has answered, whole or cut, is always accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chasqui.v1 import chat_pb2
from services.errors import InvalidValue, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROLES: Final = frozenset(chat_pb2.Role.values()) - {chat_pb2.ROLE_UNSPECIFIED}
# An empty answer is an answer, and an empty result a result.
_MAY_BE_EMPTY: Final = frozenset({chat_pb2.ROLE_ASSISTANT, chat_pb2.ROLE_TOOL})


def check_messages(messages: Sequence[chat_pb2.Message]) -> None:
    """InvalidValue, naming the field, for the first message that is wrong."""
    if not messages:
        raise InvalidValue("messages is empty, but must have at least one message.", param="messages")
    answered: dict[str, bool] = {}  # whether there is a result for the latest call of an id
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if message.role not in _ROLES:
            raise InvalidValue(f"{path}.role is missing or unknown.", param=f"{path}.role")
        _check_tool_result(message, path, answered)
        _check_calls(message, path, answered)
        _check_content(message, path)


def check_continued(messages: Sequence[chat_pb2.Message]) -> None:
    """InvalidValue unless the answer can continue the last message."""
    last = messages[-1]
    if last.role != chat_pb2.ROLE_ASSISTANT or last.tool_calls or not any(part.text for part in last.content):
        raise InvalidValue(
            "continue_final_message needs a last message of the assistant with text and without tool calls.",
            param="continue_final_message",
        )


def _check_tool_result(message: chat_pb2.Message, path: str, answered: dict[str, bool]) -> None:
    """A result belongs to the latest call of its id, and each call has at most one."""
    call_id = message.tool_call_id
    if not call_id and message.role != chat_pb2.ROLE_TOOL:
        return
    param = f"{path}.tool_call_id"
    if message.role != chat_pb2.ROLE_TOOL:
        raise InvalidValue(f"{param} belongs to tool messages only.", param=param)
    if call_id not in answered:
        raise InvalidValue(f"{param} is {quoted(call_id)}, but no earlier message has such a call.", param=param)
    if answered[call_id]:
        raise InvalidValue(f"{param} is {quoted(call_id)}, but that call has a result already.", param=param)
    answered[call_id] = True


def _check_calls(message: chat_pb2.Message, path: str, answered: dict[str, bool]) -> None:
    """Ids are unique within a message; a later message may use one again. Arguments may be any text."""
    if not message.tool_calls:
        return
    if message.role != chat_pb2.ROLE_ASSISTANT:
        raise InvalidValue(f"{path}.tool_calls belongs to assistant messages only.", param=f"{path}.tool_calls")
    own: set[str] = set()
    for index, call in enumerate(message.tool_calls):
        call_path = f"{path}.tool_calls[{index}]"
        if not call.id or call.id in own:
            raise InvalidValue(f"{call_path}.id is missing or that of another call.", param=f"{call_path}.id")
        if not call.function.name:
            raise InvalidValue(f"{call_path}.function.name is missing.", param=f"{call_path}.function.name")
        own.add(call.id)
        answered[call.id] = False


def _check_content(message: chat_pb2.Message, path: str) -> None:
    if not message.content and message.role not in _MAY_BE_EMPTY:
        raise InvalidValue(f"{path}.content is missing.", param=f"{path}.content")
    for index, part in enumerate(message.content):
        if part.WhichOneof("part") is None:
            raise InvalidValue(f"{path}.content[{index}] is an empty part.", param=f"{path}.content[{index}]")
