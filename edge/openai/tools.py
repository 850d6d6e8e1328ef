"""Translates the tools of an OpenAI chat request, and the choice among them; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chasqui.v1 import tool_pb2
from edge.api.json_text import quoted, verbatim
from services.errors import InvalidValue, UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.openai.request_schema import AllowedToolsBody, NamedFunctionBody, ToolBody, ToolChoiceBody

MODES: Final = {
    "none": tool_pb2.TOOL_CHOICE_MODE_NONE,
    "auto": tool_pb2.TOOL_CHOICE_MODE_AUTO,
    "required": tool_pb2.TOOL_CHOICE_MODE_REQUIRED,
}


def offered_tools(tools: Sequence[ToolBody], choice: str | ToolChoiceBody | None) -> list[tool_pb2.Tool]:
    """The tools that the model may call: all, or those that the choice allows.

    UnsupportedParameter for tools that are not functions, InvalidValue for a choice of tools that do not exist.
    """
    offered = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    if choice is None or isinstance(choice, str) or choice.type != "allowed_tools":
        return offered
    names = _allowed_names(_allowed(choice), {tool.function.name for tool in offered})
    return [tool for tool in offered if tool.function.name in names]


def tool_choice(choice: str | ToolChoiceBody | None) -> tool_pb2.ToolChoice | None:
    """The choice; None if there is none. InvalidValue or UnsupportedParameter for one that does not exist."""
    if choice is None:
        return None
    if isinstance(choice, str):
        return mode(choice)
    if choice.type == "allowed_tools":
        return tool_pb2.ToolChoice(mode=MODES[_allowed(choice).mode])
    return tool_pb2.ToolChoice(function_name=_function(choice.type, choice.function, "tool_choice"))


def mode(word: str) -> tool_pb2.ToolChoice:
    """The choice that is a word; InvalidValue for one that does not exist."""
    if word not in MODES:
        raise InvalidValue(
            f"tool_choice is {quoted(word)}, but must be a function or one of {', '.join(MODES)}.", param="tool_choice"
        )
    return tool_pb2.ToolChoice(mode=MODES[word])


def _tool(tool: ToolBody, path: str) -> tool_pb2.Tool:
    if tool.type != "function":
        raise _unsupported(tool.type, path)
    function = tool.function
    if function is None:
        raise _missing(f"{path}.function")
    return tool_pb2.Tool(
        function=tool_pb2.FunctionTool(
            name=function.name,
            description=function.description or "",
            parameters_json=verbatim(function.parameters, f"{path}.function.parameters"),
            strict=function.strict,
        )
    )


def _allowed(choice: ToolChoiceBody) -> AllowedToolsBody:
    if choice.allowed_tools is None:
        raise _missing("tool_choice.allowed_tools")
    return choice.allowed_tools


def _allowed_names(allowed: AllowedToolsBody, offered: set[str]) -> set[str]:
    names = set()
    for index, tool in enumerate(allowed.tools):
        path = f"tool_choice.allowed_tools.tools[{index}]"
        name = _function(tool.type, tool.function, path)
        if name not in offered:
            raise InvalidValue(f"{path} names {quoted(name)}, which is not among the tools.", param=path)
        names.add(name)
    return names


def _function(kind: str, function: NamedFunctionBody | None, path: str) -> str:
    """The name of a function that a choice names."""
    if kind != "function":
        raise _unsupported(kind, path)
    if function is None:
        raise _missing(f"{path}.function")
    return function.name


def _unsupported(kind: str, path: str) -> UnsupportedParameter:
    return UnsupportedParameter(
        f"{path}.type: tools of type {quoted(kind)} are not supported, only functions.", param=f"{path}.type"
    )


def _missing(path: str) -> InvalidValue:
    return InvalidValue(f"{path}: a required field is missing.", param=path)
