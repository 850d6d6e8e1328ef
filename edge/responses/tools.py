"""Translates the tools of a Responses request, and the choice among them; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chasqui.v1 import tool_pb2
from edge.api.json_text import quoted, verbatim
from edge.openai.tools import MODES, mode
from services.errors import InvalidValue, UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.api.origins import Origins
    from edge.responses.request_schema import FunctionChoiceBody, FunctionNameBody, FunctionToolBody


def offered_tools(
    tools: Sequence[FunctionToolBody], choice: str | FunctionChoiceBody | None, origins: Origins
) -> tuple[list[tool_pb2.Tool], list[str]]:
    """The functions that the model may call, all or those that the choice allows, and the paths of other tools.

    InvalidValue for a choice of functions that do not exist.
    """
    offered, left_out = [], []
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        if tool.type == "function":
            offered.append((path, _tool(tool, path)))
        else:
            left_out.append(path)
    if choice is not None and not isinstance(choice, str) and choice.type == "allowed_tools":
        names = _allowed(choice.tools or (), {tool.function.name for _, tool in offered})
        offered = [(path, tool) for path, tool in offered if tool.function.name in names]
    origins.tools.extend(path for path, _ in offered)
    return [tool for _, tool in offered], left_out


def tool_choice(choice: str | FunctionChoiceBody | None) -> tool_pb2.ToolChoice | None:
    """The choice; None if there is none. InvalidValue or UnsupportedParameter for one that does not exist."""
    if choice is None:
        return None
    if isinstance(choice, str):
        return mode(choice)
    if choice.type == "allowed_tools":
        return tool_pb2.ToolChoice(mode=MODES[choice.mode or "auto"])
    return tool_pb2.ToolChoice(function_name=_name(choice, "tool_choice"))


def _tool(tool: FunctionToolBody, path: str) -> tool_pb2.Tool:
    if tool.name is None:
        raise _missing(f"{path}.name")
    return tool_pb2.Tool(
        function=tool_pb2.FunctionTool(
            name=tool.name,
            description=tool.description or "",
            parameters_json=verbatim(tool.parameters, f"{path}.parameters"),
            strict=tool.strict,
        )
    )


def _allowed(tools: Sequence[FunctionNameBody], offered: set[str]) -> set[str]:
    names = set()
    for index, tool in enumerate(tools):
        path = f"tool_choice.tools[{index}]"
        name = _name(tool, path)
        if name not in offered:
            raise InvalidValue(f"{path} names {quoted(name)}, which is not among the tools.", param=path)
        names.add(name)
    return names


def _name(tool: FunctionNameBody | FunctionChoiceBody, path: str) -> str:
    """The name of a function that a choice names."""
    if tool.type != "function":
        raise UnsupportedParameter(
            f"{path}.type: tools of type {quoted(tool.type)} are not supported, only functions.", param=f"{path}.type"
        )
    if tool.name is None:
        raise _missing(f"{path}.name")
    return tool.name


def _missing(path: str) -> InvalidValue:
    return InvalidValue(f"{path}: a required field is missing.", param=path)
