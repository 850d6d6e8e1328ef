"""Translates Responses requests to `chasqui.v1.ChatRequest`; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chasqui.v1 import chat_pb2, chat_service_pb2
from edge.api.json_text import verbatim
from edge.api.origins import Origins
from edge.openai.request import max_tokens, sampling, service_tier, whole
from edge.responses.conversation import messages_of
from edge.responses.tools import offered_tools, tool_choice
from services.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.responses.request_schema import InputItemBody, ResponsesRequest, TextFormatBody

_NAMES: Final = {
    "response_format.json_schema": "text.format",
    "response_format": "text.format",
    "max_tokens": "max_output_tokens",
    "messages": "input",
    "tool_call_id": "call_id",
    "id": "call_id",
    "logprobs": "include",
}
# The last events of a stream hold all of them again.
MAX_LOGPROBS: Final = 131_072
_LOGPROBS: Final = "message.output_text.logprobs"


def to_chat_request(
    body: ResponsesRequest, history: Sequence[InputItemBody] = ()
) -> tuple[chat_service_pb2.ChatRequest, Origins, list[str]]:
    """The request as a proto, where its parts come from, and the paths of tools that are left out.

    `history` are the items before the input. InvalidValue or UnsupportedParameter for what the proto cannot hold.
    """
    origins = Origins(_NAMES)
    tools, left_out = offered_tools(body.tools or (), body.tool_choice, origins)
    has_logprobs = _has_logprobs(body)
    request = chat_service_pb2.ChatRequest(
        model=body.model,
        messages=messages_of(body, history, origins),
        sampling=sampling(body),
        max_tokens=max_tokens(body.max_output_tokens, "max_output_tokens"),
        logprobs=has_logprobs or None,
        top_logprobs=body.top_logprobs,
        tools=tools,
        tool_choice=tool_choice(body.tool_choice),
        parallel_tool_calls=body.parallel_tool_calls,
        response_format=_form(body.text.format) if body.text is not None and body.text.format is not None else None,
        user=body.user or "",
        service_tier=service_tier(body.service_tier),
    )
    return request, origins, left_out


def _has_logprobs(body: ResponsesRequest) -> bool:
    """Whether log probabilities are wanted; InvalidValue if candidates are wanted without them, or too many in all."""
    top = whole("top_logprobs", body.top_logprobs) or 0
    if _LOGPROBS not in (body.include or ()):
        if top:
            raise InvalidValue(f"top_logprobs needs {_LOGPROBS} in include.", param="top_logprobs")
        return False
    if (body.max_output_tokens or 0) * (1 + top) > MAX_LOGPROBS:
        raise InvalidValue(
            f"top_logprobs: a response may have {MAX_LOGPROBS:,} log probabilities, candidates included: ask for fewer "
            "of them, or for fewer max_output_tokens.",
            param="top_logprobs",
        )
    return True


def _form(form: TextFormatBody) -> chat_pb2.ResponseFormat | None:
    if form.type == "text":
        return None
    if form.type == "json_object":
        return chat_pb2.ResponseFormat(json_object=chat_pb2.JsonObjectFormat())
    schema = verbatim(form.schema, "text.format.schema")
    if form.name is None:
        raise InvalidValue("text.format.name is missing.", param="text.format.name")
    if not schema:
        raise InvalidValue("text.format.schema is missing.", param="text.format.schema")
    return chat_pb2.ResponseFormat(
        json_schema=chat_pb2.JsonSchemaFormat(
            name=form.name, description=form.description or "", schema_json=schema, strict=form.strict
        )
    )
