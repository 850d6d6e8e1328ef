"""Translates `ChatResponse`s, counts and models to the JSON of Messages; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from chasqui.v1 import chat_pb2
from edge.anthropic.answer_schema import (
    AnthropicMessage,
    AnthropicModel,
    AnthropicModelList,
    MessageUsage,
    StopBody,
    TextContent,
    ToolUseContent,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1.chat_service_pb2 import ChatResponse
    from chasqui.v1.model_pb2 import Model
    from chasqui.v1.stream_pb2 import ChoiceFinish
    from chasqui.v1.tool_pb2 import ToolCall

EMPTY: Final = msgspec.Raw(b"{}")


def message(response: ChatResponse, parts: Sequence[str | ToolCall]) -> AnthropicMessage:
    """An unstreamed response, which has one choice; `parts` are its texts and calls in their order."""
    [choice] = response.choices
    content: list[TextContent | ToolUseContent] = [
        TextContent(part)
        if isinstance(part, str)
        else ToolUseContent(part.id, part.function.name, _input(part.function.arguments))
        for part in parts
    ]
    stop = stop_of(choice, has_calls=bool(choice.message.tool_calls))
    return AnthropicMessage(
        message_id(response.id),
        response.model,
        content,
        stop.stop_reason,
        stop.stop_sequence,
        usage(response.usage),
    )


def message_id(chat_id: str) -> str:
    """The message's id, of the digits of the call's."""
    return f"msg_{chat_id.rpartition('-')[2]}"


def stop_of(end: ChoiceFinish | chat_pb2.Choice, *, has_calls: bool) -> StopBody:
    """Why an answer ended, streamed or not."""
    if end.finish_reason == chat_pb2.FINISH_REASON_LENGTH:
        return StopBody("max_tokens", None)
    if end.HasField("stop_reason"):
        return StopBody("stop_sequence", end.stop_reason)
    return StopBody("tool_use" if has_calls else "end_turn", None)


def usage(counted: chat_pb2.Usage) -> MessageUsage:
    """The usage; tokens from the cache are counted apart from the others of the prompt."""
    return MessageUsage(
        input_tokens=counted.prompt_tokens - counted.cached_tokens,
        cache_read_input_tokens=counted.cached_tokens,
        output_tokens=counted.completion_tokens,
        estimated_cost=counted.estimated_cost,
    )


def model_body(model: Model) -> AnthropicModel:
    """The description of a model."""
    created = model.created.ToDatetime().isoformat(timespec="seconds")
    return AnthropicModel(model.id, model.id, f"{created}Z", model.context_length, model.default_max_tokens)


def model_list(models: Sequence[Model]) -> AnthropicModelList:
    """The descriptions of all models."""
    bodies = [model_body(model) for model in models]
    return AnthropicModelList(bodies, bodies[0].id if bodies else None, bodies[-1].id if bodies else None)


def _input(arguments: str) -> msgspec.Raw:
    """The input of a call, verbatim; empty for text that is no JSON object, such as that of a call that was cut."""
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return EMPTY
    return msgspec.Raw(arguments.encode())
