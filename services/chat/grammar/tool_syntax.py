"""The syntaxes in which models write tool calls, and which of them a model's chat template teaches it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from services.engine.api import ModelInfo

OPEN_TAG: Final = "<tool_call>"
CLOSE_TAG: Final = "</tool_call>"

# What templates write around calls in syntaxes that this server cannot parse: Qwen3-Coder, Mistral, DeepSeek, Phi 4.
_UNSUPPORTED: Final = ("<function=", "[TOOL_CALLS]", "<｜tool▁calls▁begin｜>", "<|tool_call|>")


class ToolSyntax(Enum):
    """The values are vLLM's names of the same parsers."""

    LLAMA3_JSON = "llama3_json"  # {"name": "f", "parameters": {...}}
    HERMES = "hermes"  # <tool_call>, a line with {"name": "f", "arguments": {...}}, </tool_call>


def tool_syntax_of(model: ModelInfo) -> ToolSyntax | None:
    """The syntax of a model; None if its template renders no tools, or has calls in a syntax that is not supported."""
    template = model.chat_template + model.tool_template
    if "tools" not in template or any(mark in template for mark in _UNSUPPORTED):
        return None
    return ToolSyntax.HERMES if OPEN_TAG in template else ToolSyntax.LLAMA3_JSON
