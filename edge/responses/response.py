"""Translates requests and `ChatResponse`s to the response object; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from chasqui.v1 import chat_pb2
from edge.openai.request import SERVICE_TIERS
from edge.responses.answer_schema import (
    IncompleteDetails,
    InputTokensDetails,
    OutputCall,
    OutputItem,
    OutputMessage,
    OutputText,
    OutputTokensDetails,
    ResponseObject,
    ResponseUsage,
)
from services.limits import LIMITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1.chat_service_pb2 import ChatResponse
    from chasqui.v1.stream_pb2 import Started
    from chasqui.v1.tool_pb2 import ToolCall
    from edge.openai.answer_schema import LogprobsBody
    from edge.responses.request_schema import ResponsesRequest, TextFormatBody

COMPLETED: Final = "completed"
INCOMPLETE: Final = "incomplete"
IN_PROGRESS: Final = "in_progress"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
_TIERS: Final = {number: name for name, number in SERVICE_TIERS.items()}


class Ids:
    """The ids of a response and its items, of the digits of the call's id."""

    def __init__(self, chat_id: str) -> None:
        self._digits = chat_id.rpartition("-")[2]
        self.response = f"resp_{self._digits}"

    def message(self, output_index: int) -> str:
        """That of a message."""
        return f"msg_{self._digits}_{output_index}"

    def call(self, output_index: int) -> str:
        """That of a call's item; `call_id` is another."""
        return f"fc_{self._digits}_{output_index}"


def template(body: ResponsesRequest, *, store: bool) -> ResponseObject:
    """What a response repeats of its request, and whether it is stored; the rest is to be filled in."""
    choice = "auto" if body.tool_choice is None else body.tool_choice
    return ResponseObject(
        id="",
        created_at=0,
        status=IN_PROGRESS,
        model=body.model,
        output=[],
        instructions=body.instructions,
        max_output_tokens=body.max_output_tokens,
        metadata=body.metadata or {},
        parallel_tool_calls=body.parallel_tool_calls is not False,
        tools=msgspec.Raw(msgspec.json.encode([tool for tool in body.tools or () if tool.type == "function"])),
        tool_choice=msgspec.Raw(msgspec.json.encode(choice)),
        text=msgspec.Raw(msgspec.json.encode({"format": _format(body)})),
        temperature=_value("temperature", body.temperature),
        top_p=_value("top_p", body.top_p),
        presence_penalty=_value("presence_penalty", body.presence_penalty),
        frequency_penalty=_value("frequency_penalty", body.frequency_penalty),
        top_logprobs=body.top_logprobs or 0,
        service_tier=body.service_tier or "auto",
        store=store,
        previous_response_id=body.previous_response_id,
        user=body.user,
    )


def begun(repeated: ResponseObject, started: Started | ChatResponse) -> ResponseObject:
    """The response of a call that was accepted."""
    return msgspec.structs.replace(
        repeated,
        id=Ids(started.id).response,
        created_at=started.created.seconds,
        model=started.model,
        service_tier=_TIERS[started.service_tier],
    )


def ended(
    response: ResponseObject,
    output: Sequence[OutputItem],
    reason: chat_pb2.FinishReason.ValueType,
    counted: chat_pb2.Usage,
) -> ResponseObject:
    """The response at its end."""
    is_cut = reason == chat_pb2.FINISH_REASON_LENGTH
    return msgspec.structs.replace(
        response,
        status=INCOMPLETE if is_cut else COMPLETED,
        incomplete_details=IncompleteDetails() if is_cut else None,
        output=list(output),
        usage=usage(counted),
    )


def whole(
    repeated: ResponseObject,
    response: ChatResponse,
    parts: Sequence[str | ToolCall],
    logprobs: LogprobsBody | None,
) -> ResponseObject:
    """An unstreamed response, which has one choice; `parts` are its texts and calls in their order.

    `logprobs` are those of its first text.
    """
    [choice] = response.choices
    ids = Ids(response.id)
    output: list[OutputItem] = []
    for part in parts or ("",):
        if isinstance(part, str):
            text = OutputText(part)
            if logprobs is not None and not output:
                text.logprobs = logprobs.content
            output.append(OutputMessage(ids.message(len(output)), COMPLETED, [text]))
        else:
            function = part.function
            output.append(OutputCall(ids.call(len(output)), part.id, function.name, function.arguments, COMPLETED))
    if choice.finish_reason == chat_pb2.FINISH_REASON_LENGTH:
        output[-1].status = INCOMPLETE
    return ended(begun(repeated, response), output, choice.finish_reason, response.usage)


def usage(counted: chat_pb2.Usage) -> ResponseUsage:
    """The usage."""
    return ResponseUsage(
        counted.prompt_tokens,
        InputTokensDetails(counted.cached_tokens),
        counted.completion_tokens,
        OutputTokensDetails(),
        counted.total_tokens,
        counted.estimated_cost,
    )


def _format(body: ResponsesRequest) -> TextFormatBody | dict[str, str]:
    form = None if body.text is None else body.text.format
    if form is not None and form.type == "json_schema":
        return form
    return {"type": "text" if form is None else form.type}


def _value(name: str, given: float | None) -> float:
    """A field of the request, or its default."""
    default = LIMITS[name].default
    return given if given is not None else default or 0.0
