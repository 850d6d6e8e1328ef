"""Refuses tools that cannot be rendered, and choices among them that cannot be made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chasqui.v1 import tool_pb2
from services.errors import InvalidValue, quoted
from services.json_text import parse_json

if TYPE_CHECKING:
    from chasqui.v1.chat_service_pb2 import ChatRequest

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def check_tools(request: ChatRequest) -> None:
    """InvalidValue, naming the field, for the first tool that is wrong, or for the tool choice."""
    names: set[str] = set()
    for index, tool in enumerate(request.tools):
        path = f"tools[{index}].function"
        if tool.WhichOneof("tool") is None:
            raise InvalidValue(f"tools[{index}] is empty.", param=f"tools[{index}]")
        _check_name(tool.function.name, f"{path}.name", names)
        if tool.function.parameters_json:
            param = f"{path}.parameters"
            if not isinstance(parse_json(tool.function.parameters_json, param), dict):
                raise InvalidValue(f"{param} must be a JSON object.", param=param)
    _check_tool_choice(request, names)


def _check_name(name: str, param: str, names: set[str]) -> None:
    """A well-formed name that no earlier tool has; it is added to `names`."""
    if not _NAME.fullmatch(name):
        raise InvalidValue(
            f"{param} is {quoted(name)}, but must be 1 to 64 letters, digits, underscores and dashes.", param=param
        )
    if name in names:
        raise InvalidValue(f"{param} is {name!r}, as that of an earlier tool.", param=param)
    names.add(name)


def _check_tool_choice(request: ChatRequest, names: set[str]) -> None:
    choice = request.tool_choice
    if choice.WhichOneof("choice") == "function_name" and choice.function_name not in names:
        raise InvalidValue(
            f"tool_choice names {quoted(choice.function_name)}, which is not among the tools.", param="tool_choice"
        )
    if choice.mode == tool_pb2.TOOL_CHOICE_MODE_REQUIRED and not names:
        raise InvalidValue("tool_choice demands a call, but no tools are offered.", param="tool_choice")
