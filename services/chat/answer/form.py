"""What the answer to a request may look like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.chat.grammar.tool_choice import callable_names
from services.chat.grammar.tool_syntax import ToolSyntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1.chat_service_pb2 import ChatRequest


@dataclass(frozen=True, slots=True)
class ToolUse:
    """How the model may call tools."""

    names: frozenset[str]  # of the tools that it may call, at least one
    parallel: bool  # whether a choice may have several calls
    named: bool  # the caller named the function that must be called
    syntax: ToolSyntax = ToolSyntax.LLAMA3_JSON


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """The form of each of the `n` choices of an answer."""

    n: int
    stops: Sequence[str] = ()
    tools: ToolUse | None = None
    logprobs: bool = False
    echo: str = ""  # the prompt's text, with which every choice begins; it is not counted as usage
    grammar_param: str | None = None  # the field to name in the error if the grammar cannot be enforced


def form_of(request: ChatRequest, n: int, echo: str, grammar_param: str | None, syntax: ToolSyntax) -> AnswerForm:
    """The form that a validated request asks for, with calls in the model's `syntax`."""
    names = callable_names(request)
    tools = ToolUse(
        names,
        parallel=not request.HasField("parallel_tool_calls") or request.parallel_tool_calls,
        named=request.tool_choice.WhichOneof("choice") == "function_name",
        syntax=syntax,
    )
    return AnswerForm(n, tuple(request.stop), tools if names else None, request.logprobs, echo, grammar_param)
