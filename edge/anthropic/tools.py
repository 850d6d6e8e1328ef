"""Translates the tools of a Messages request, and the choice among them; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chasqui.v1 import tool_pb2
from edge.api.json_text import quoted, verbatim
from services.errors import InvalidValue, UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.anthropic.request_schema import ClientToolBody, UseOfToolsBody
    from edge.api.origins import Origins

_MODES: Final = {
    "none": tool_pb2.TOOL_CHOICE_MODE_NONE,
    "auto": tool_pb2.TOOL_CHOICE_MODE_AUTO,
    "any": tool_pb2.TOOL_CHOICE_MODE_REQUIRED,
}


def offered_tools(
    tools: Sequence[ClientToolBody], choice: UseOfToolsBody | None, origins: Origins
) -> tuple[list[tool_pb2.Tool], list[str]]:
    """The caller's own tools, and the paths of the others, which only Anthropic's models know and which are left out.

    UnsupportedParameter if the choice demands one of those.
    """
    offered, left_out = [], []
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        if tool.type in (None, "custom"):
            offered.append(_tool(tool, path))
            origins.tools.append(path)
        elif choice is not None and choice.type == "tool" and choice.name == tool.name:
            raise UnsupportedParameter(
                f"tool_choice names {quoted(tool.name)}, a tool of type {quoted(tool.type)}, which is not supported.",
                param="tool_choice",
            )
        else:
            left_out.append(path)
    return offered, left_out


def tool_choice(choice: UseOfToolsBody | None) -> tool_pb2.ToolChoice | None:
    """The choice; None if there is none. InvalidValue if it names no tool."""
    if choice is None:
        return None
    if choice.type != "tool":
        return tool_pb2.ToolChoice(mode=_MODES[choice.type])
    if choice.name is None:
        raise InvalidValue("tool_choice.name: a required field is missing.", param="tool_choice.name")
    return tool_pb2.ToolChoice(function_name=choice.name)


def _tool(tool: ClientToolBody, path: str) -> tool_pb2.Tool:
    return tool_pb2.Tool(
        function=tool_pb2.FunctionTool(
            name=tool.name,
            description=tool.description or "",
            parameters_json=verbatim(tool.input_schema, f"{path}.input_schema"),
            strict=tool.strict,
        )
    )
