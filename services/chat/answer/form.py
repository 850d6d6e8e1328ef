"""What the answer to a request may look like."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from services.chat.answer.hermes_parser import HermesParser
from services.chat.answer.parsed import Content
from services.chat.answer.tool_parser import ToolCallParser
from services.chat.grammar.tool_choice import callable_names
from services.chat.grammar.tool_syntax import ToolSyntax
from services.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1.chat_service_pb2 import ChatRequest

_PARSERS: Final[dict[ToolSyntax, type[ToolCallParser | HermesParser]]] = {
    ToolSyntax.LLAMA3_JSON: ToolCallParser,
    ToolSyntax.HERMES: HermesParser,
}


@dataclass(frozen=True, slots=True)
class ToolUse:
    """How the model may call tools."""

    names: frozenset[str]  # of the tools that it may call, at least one
    parallel: bool  # whether a choice may have several calls
    named: bool  # the caller named the function that must be called
    syntax: ToolSyntax = ToolSyntax.LLAMA3_JSON
    continued: str = ""  # the text that the answer continues, which holds no call

    def parser(self) -> ToolCallParser | HermesParser:
        """A parser of one choice, for what follows the text that the answer continues."""
        parser = _PARSERS[self.syntax](self.names, parallel=self.parallel)
        parser.push(self.continued)
        return parser


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """The form of each of the `n` choices of an answer."""

    n: int
    stops: Sequence[str] = ()
    tools: ToolUse | None = None
    logprobs: bool = False
    echo: str = ""  # the prompt's text, with which every choice begins; it is not counted as usage
    grammar_param: str | None = None  # the field to name in the error if the grammar cannot be enforced
    scores_prompt: bool = False  # the echo comes with log probabilities, from the engine
    counted_prompt: int | None = None  # its tokens, if events carry the usage so far


def form_of(
    request: ChatRequest, n: int, prompt_tokens: int, echo: str, grammar_param: str | None, syntax: ToolSyntax
) -> AnswerForm:
    """The form that a validated request asks for, with calls in the model's `syntax`.

    InvalidValue if the message to be continued may have begun a call, whose end alone nobody could read.
    """
    return AnswerForm(
        n,
        tuple(request.stop),
        _tool_use(request, syntax) if request.tools else None,
        request.logprobs,
        echo,
        grammar_param,
        request.prompt.echo and request.logprobs,
        prompt_tokens if request.continuous_usage else None,
    )


def _tool_use(request: ChatRequest, syntax: ToolSyntax) -> ToolUse | None:
    """How the model may call the tools of a request; None if it may not. Raises as `form_of` does."""
    names = callable_names(request)
    if not names:
        return None
    tools = ToolUse(
        names,
        parallel=not request.HasField("parallel_tool_calls") or request.parallel_tool_calls,
        named=request.tool_choice.WhichOneof("choice") == "function_name",
        syntax=syntax,
    )
    if not request.continue_final_message:
        return tools
    text = "".join(part.text for part in request.messages[-1].content)
    if tools.parser().push(text) != [Content(text)]:
        raise InvalidValue("The message to be continued may have begun a tool call.", param="continue_final_message")
    return replace(tools, continued=text)
