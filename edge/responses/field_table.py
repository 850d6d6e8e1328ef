"""The table of the fields of Responses requests: honoured, without effect, or refused unless their value is neutral."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge.api.fields import honoured, refused, reported, without_effect
from edge.openai.field_table import FIELDS as OPENAI_FIELDS
from edge.openai.request_schema import ChatCompletionRequest, SamplingRequest
from edge.responses.request_schema import (
    FunctionToolBody,
    InputItemBody,
    InputPartBody,
    ResponsesRequest,
    TextConfigBody,
)
from services.limits import MAX_REQUEST_ITEMS

if TYPE_CHECKING:
    from edge.api.decode import FieldTable

_CHAT: Final = OPENAI_FIELDS[ChatCompletionRequest]
_NOT_STORED: Final = "No response is stored here: send the whole conversation in input."

FIELDS: Final[FieldTable] = {
    ResponsesRequest: {
        "model": _CHAT["model"],
        "input": honoured(
            "required",
            "a text, or items: messages (roles user, assistant, system and developer; text, or parts of text), "
            "`function_call`, `function_call_output`; `reasoning` is dropped. "
            f"At most {MAX_REQUEST_ITEMS:,} items, parts and tools in all",
        ),
        "instructions": honoured("", "a system message before the input"),
        "stream": _CHAT["stream"],
        "max_output_tokens": honoured("0 or more", "most tokens; more than the context leaves is clamped"),
        "tools": honoured("", "functions that the model may call; tools of another type are left out"),
        "tool_choice": _CHAT["tool_choice"],
        "parallel_tool_calls": _CHAT["parallel_tool_calls"],
        "text": honoured("", "`format`: text, json_object, or json_schema with a `schema` that the engine enforces"),
        "include": honoured("", "`message.output_text.logprobs` is refused; other values have no effect"),
        "metadata": honoured("", "texts by name, which the answer repeats"),
        "service_tier": _CHAT["service_tier"],
        "user": _CHAT["user"],
        **{name: _CHAT[name] for name in SamplingRequest.__struct_fields__},
        "top_logprobs": refused(0, hint="Chat completions have log probabilities."),
        "previous_response_id": refused(hint=_NOT_STORED),
        "conversation": refused(hint=_NOT_STORED),
        "background": refused(False, hint=_NOT_STORED),
        "prompt": refused(),
        "reasoning": reported({}, {"effort": "none"}),
        "truncation": reported("disabled"),
        "context_management": reported([]),
    }
    | without_effect(
        *("store", "stream_options", "max_tool_calls", "prompt_cache_key", "prompt_cache_retention"),
        *("safety_identifier", "client_metadata"),
    ),
    InputItemBody: without_effect("id", "status", "phase", "summary", "encrypted_content"),
    InputPartBody: without_effect("annotations", "logprobs"),
    FunctionToolBody: without_effect("defer_loading"),
    TextConfigBody: {"format": honoured("text", "the form of the content"), "verbosity": reported("medium")},
}
