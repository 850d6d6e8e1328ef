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
        "include": honoured(
            "", "`message.output_text.logprobs`: log probabilities of the text; other values have no effect"
        ),
        "top_logprobs": honoured("0 to 20, 0", "most probable tokens at each position; needs `include`"),
        "store": honoured(
            "true where responses are stored, else false", "keep the response, see below; true is refused elsewhere"
        ),
        "previous_response_id": honoured("", "a stored response, whose conversation the input continues; see below"),
        "metadata": honoured("", "texts by name, which the answer repeats"),
        "service_tier": _CHAT["service_tier"],
        "user": _CHAT["user"],
        **{name: _CHAT[name] for name in SamplingRequest.__struct_fields__},
        "conversation": refused(hint="A conversation is continued with previous_response_id, or sent in input."),
        "background": refused(False),
        "prompt": refused(),
        "reasoning": reported({}, {"effort": "none"}),
        "truncation": reported("disabled"),
        "context_management": reported([]),
    }
    | without_effect(
        *("stream_options", "max_tool_calls", "prompt_cache_key", "prompt_cache_retention"),
        *("safety_identifier", "client_metadata"),
    ),
    InputItemBody: without_effect("id", "status", "phase", "summary", "encrypted_content"),
    InputPartBody: without_effect("annotations", "logprobs"),
    FunctionToolBody: without_effect("defer_loading"),
    TextConfigBody: {"format": honoured("text", "the form of the content"), "verbosity": reported("medium")},
}
