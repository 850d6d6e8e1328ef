"""The table of the fields of Messages requests: honoured, without effect, or refused unless their value is neutral."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge.anthropic.request_schema import (
    BlockBody,
    CallerBody,
    ClientToolBody,
    MessagesCountRequest,
    MessagesRequest,
    OutputConfigBody,
    TextBlockBody,
)
from edge.api.fields import Known, honoured, refused, reported, without_effect
from services.limits import MAX_REQUEST_ITEMS, MAX_STOPS

if TYPE_CHECKING:
    from edge.api.decode import FieldTable

_PROMPT: Final[dict[str, Known]] = {
    "model": honoured("required", "a served model or one of its aliases"),
    "messages": honoured(
        "required, at least one",
        "roles user, assistant and system, in any order; a last one of the assistant's is continued. `content` is text "
        "or blocks: text, `tool_use`, `tool_result` (whose content is text or text blocks). Texts are joined with "
        f"nothing between them; thinking blocks are dropped. At most {MAX_REQUEST_ITEMS:,} messages, blocks and tools "
        "in all",
    ),
    "system": honoured("", "text, or text blocks, joined with nothing between them"),
    "tools": honoured(
        "", "with `name`, `description`, `input_schema` and `strict`; tools of a `type` other than custom are left out"
    ),
    "tool_choice": honoured("auto with tools", "auto, any, tool (with `name`) or none; `disable_parallel_tool_use`"),
}
# What Claude Code and the clients add by themselves.
_PROMPT_OTHERS: Final[dict[str, Known]] = {
    "thinking": reported({"type": "disabled"}),
    "context_management": reported({}),
    "mcp_servers": refused([]),
    "thread": refused(hint="No conversation is kept here: send all messages."),
    **without_effect("cache_control"),
}

FIELDS: Final[FieldTable] = {
    MessagesRequest: _PROMPT
    | {
        "max_tokens": honoured("required, 0 or more", "most tokens; more than the context leaves is clamped"),
        "stream": honoured("false", "answer as server-sent events"),
        "stop_sequences": honoured(
            f"up to {MAX_STOPS} texts", "end the answer; `stop_sequence` of the answer names the one that matched"
        ),
        "temperature": honoured("0 to 2, 1", "0 is greedy"),
        "top_p": honoured("above 0 to 1, 1", "smallest set of tokens whose probabilities sum to this"),
        "top_k": honoured("0 to 999, 0", "this many of the most probable tokens; 0 is off"),
        "metadata": honoured("", "`user_id` is recorded hashed on the call's span"),
        "output_config": honoured("", "`format`: json_schema, with a `schema` that the engine enforces"),
        "output_format": honoured("", "the same as `output_config.format`"),
        "service_tier": refused("auto", "standard_only"),
        "container": refused(),
    }
    | _PROMPT_OTHERS,
    MessagesCountRequest: _PROMPT
    | _PROMPT_OTHERS
    | without_effect("max_tokens", "output_config", "output_format", "metadata", "stream"),
    BlockBody: without_effect("cache_control", "citations", "thinking", "signature", "data", "caller"),
    TextBlockBody: without_effect("cache_control", "citations"),
    ClientToolBody: without_effect("cache_control", "defer_loading", "eager_input_streaming", "input_examples"),
    OutputConfigBody: {"format": honoured("", "the form of the content"), "effort": reported()},
    CallerBody: {"user_id": honoured("", "the end user's id")},
}
