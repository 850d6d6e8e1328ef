"""Which of its tools a request lets the model call, and which it must call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chasqui.v1 import tool_pb2

if TYPE_CHECKING:
    from chasqui.v1.chat_service_pb2 import ChatRequest


def calls_allowed(request: ChatRequest) -> bool:
    """Whether the model may call the tools of a request."""
    return request.tool_choice.mode != tool_pb2.TOOL_CHOICE_MODE_NONE


def forced_names(request: ChatRequest) -> frozenset[str]:
    """The tools of which one must be called; empty when no call is forced."""
    choice = request.tool_choice
    if choice.WhichOneof("choice") == "function_name":
        return frozenset({choice.function_name})
    if choice.mode == tool_pb2.TOOL_CHOICE_MODE_REQUIRED:
        return _names(request)
    return frozenset()


def callable_names(request: ChatRequest) -> frozenset[str]:
    """The tools that the model may call: those of which one is forced, or all that are offered."""
    return forced_names(request) or (_names(request) if calls_allowed(request) else frozenset())


def strict_names(request: ChatRequest) -> frozenset[str]:
    """The tools whose arguments must satisfy their schema whenever they are called."""
    return frozenset(tool.function.name for tool in request.tools if tool.function.strict)


def parameters_param(index: int) -> str:
    """The field that has the schema of a tool."""
    return f"tools[{index}].function.parameters"


def optional_schemas(request: ChatRequest) -> frozenset[str]:
    """The fields whose schemas need not be enforced: of tools that are neither strict nor the one that is named."""
    if request.tool_choice.mode != tool_pb2.TOOL_CHOICE_MODE_REQUIRED:
        return frozenset()
    return frozenset(parameters_param(index) for index, tool in enumerate(request.tools) if not tool.function.strict)


def _names(request: ChatRequest) -> frozenset[str]:
    return frozenset(tool.function.name for tool in request.tools)
