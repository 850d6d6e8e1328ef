"""Translates Messages requests to `chasqui.v1.ChatRequest`; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chasqui.v1 import chat_pb2, chat_service_pb2
from edge.anthropic.conversation import messages_of
from edge.anthropic.tools import offered_tools, tool_choice
from edge.api.json_text import verbatim
from edge.api.origins import Origins
from services.errors import InvalidValue
from services.limits import LIMITS, MAX_STOPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.anthropic.request_schema import MessagesRequest, PromptRequest

_NAMES: Final = {
    "stop": "stop_sequences",
    "tool_call_id": "tool_use_id",
    "parameters": "input_schema",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
}
_SCHEMA_NAME: Final = "schema"  # the proto's schemas have a name, Anthropic's have none


def to_chat_request(body: MessagesRequest) -> tuple[chat_service_pb2.ChatRequest, Origins, list[str]]:
    """The request as a proto, where its parts come from, and the paths of tools that are left out.

    InvalidValue or UnsupportedParameter for what the proto cannot hold.
    """
    path, form = _form(body)
    request, origins, left_out = to_prompt(body, path)
    request.max_tokens = min(_whole("max_tokens", body.max_tokens), int(LIMITS["max_tokens"].maximum))
    request.stop.extend(_stops(body.stop_sequences or ()))
    if body.temperature is not None:
        request.sampling.temperature = body.temperature
    if body.top_p is not None:
        request.sampling.top_p = body.top_p
    if body.top_k is not None:
        request.sampling.top_k = _whole("top_k", body.top_k)
    if body.metadata is not None:
        request.user = body.metadata.user_id or ""
    if form is not None:
        request.response_format.json_schema.CopyFrom(form)
    return request, origins, left_out


def to_prompt(body: PromptRequest, form: str = "") -> tuple[chat_service_pb2.ChatRequest, Origins, list[str]]:
    """The same for what the prompt is made of; `form` is the path of the field that demands the form of the content."""
    last = f"messages[{len(body.messages) - 1}]"
    names = {"response_format.json_schema": form, "response_format": form, "continue_final_message": last}
    origins = Origins({**_NAMES, **names})
    tools, left_out = offered_tools(body.tools or (), body.tool_choice, origins)
    choice = body.tool_choice
    request = chat_service_pb2.ChatRequest(
        model=body.model, messages=messages_of(body, origins), tools=tools, tool_choice=tool_choice(choice)
    )
    if choice is not None and choice.disable_parallel_tool_use:
        request.parallel_tool_calls = False
    if body.messages and body.messages[-1].role == "assistant":
        request.continue_final_message = True
    return request, origins, left_out


def _whole(name: str, value: int) -> int:
    """The value; InvalidValue if it is out of range, but for more tokens than any context holds, which is no limit."""
    if name != "max_tokens" or value < 0:
        LIMITS[name].check(value)
    return value


def _stops(texts: Sequence[str]) -> list[str]:
    """The texts; an empty one stops nothing."""
    if len(texts) > MAX_STOPS:
        raise InvalidValue(
            f"stop_sequences has {len(texts):,} texts, but may have at most {MAX_STOPS}.", param="stop_sequences"
        )
    return [text for text in texts if text]


def _form(body: MessagesRequest) -> tuple[str, chat_pb2.JsonSchemaFormat | None]:
    """The path of the field that demands the form of the content, and that form."""
    path, form = "output_format", body.output_format
    if body.output_config is not None and body.output_config.format is not None:
        path, form = "output_config.format", body.output_config.format
    if form is None:
        return path, None
    text = verbatim(form.schema, f"{path}.schema")
    if not text:
        raise InvalidValue(f"{path}.schema is missing.", param=f"{path}.schema")
    return path, chat_pb2.JsonSchemaFormat(name=_SCHEMA_NAME, schema_json=text)
