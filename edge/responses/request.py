"""Translates Responses requests to `chasqui.v1.ChatRequest`; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chasqui.v1 import chat_pb2, chat_service_pb2
from edge.api.json_text import verbatim
from edge.api.origins import Origins
from edge.openai.request import max_tokens, sampling, service_tier
from edge.responses.conversation import messages_of
from edge.responses.tools import offered_tools, tool_choice
from services.errors import InvalidValue, UnsupportedParameter

if TYPE_CHECKING:
    from edge.responses.request_schema import ResponsesRequest, TextFormatBody

_NAMES: Final = {
    "response_format.json_schema": "text.format",
    "response_format": "text.format",
    "max_tokens": "max_output_tokens",
    "messages": "input",
    "tool_call_id": "call_id",
    "id": "call_id",
}
_LOGPROBS: Final = "message.output_text.logprobs"


def to_chat_request(body: ResponsesRequest) -> tuple[chat_service_pb2.ChatRequest, Origins, list[str]]:
    """The request as a proto, where its parts come from, and the paths of tools that are left out.

    InvalidValue or UnsupportedParameter for what the proto cannot hold.
    """
    if _LOGPROBS in (body.include or ()):
        raise UnsupportedParameter(
            f"include: {_LOGPROBS} is not supported. Chat completions have log probabilities.", param="include"
        )
    origins = Origins(_NAMES)
    tools, left_out = offered_tools(body.tools or (), body.tool_choice, origins)
    request = chat_service_pb2.ChatRequest(
        model=body.model,
        messages=messages_of(body, origins),
        sampling=sampling(body),
        max_tokens=max_tokens(body.max_output_tokens, "max_output_tokens"),
        tools=tools,
        tool_choice=tool_choice(body.tool_choice),
        parallel_tool_calls=body.parallel_tool_calls,
        response_format=_form(body.text.format) if body.text is not None and body.text.format is not None else None,
        user=body.user or "",
        service_tier=service_tier(body.service_tier),
    )
    return request, origins, left_out


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
