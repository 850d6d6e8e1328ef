"""A chat call's spans, by OpenTelemetry's conventions for generative AI: the call, and its phases below it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv._incubating.attributes import openai_attributes, user_attributes
from opentelemetry.semconv.attributes import error_attributes
from opentelemetry.trace import Status, StatusCode

from chasqui.v1 import chat_pb2
from services.chat.accounting.call_facts import user_hash
from services.telemetry import outcome
from services.telemetry.spans import UNSET, SpanData, SpanEvent, new_span_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import SpanContext
    from opentelemetry.util.types import AttributeValue

    from chasqui.v1.chat_service_pb2 import ChatRequest
    from services.chat.accounting.usage_record import UsageRecord
    from services.telemetry.spans import Attributes

PROVIDER: Final = "chasqui"
_SAMPLING: Final = {
    "temperature": gen_ai.GEN_AI_REQUEST_TEMPERATURE,
    "top_p": gen_ai.GEN_AI_REQUEST_TOP_P,
    "top_k": gen_ai.GEN_AI_REQUEST_TOP_K,
    "frequency_penalty": gen_ai.GEN_AI_REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": gen_ai.GEN_AI_REQUEST_PRESENCE_PENALTY,
    "seed": gen_ai.GEN_AI_REQUEST_SEED,
}
# The event that carries prompt and answer, if they are to be traced.
_DETAILS: Final = "gen_ai.client.inference.operation.details"


def request_attributes(request: ChatRequest, *, streamed: bool, content: bool) -> Attributes:
    """What the request asks for; with `content` the conversation too, which otherwise is in no trace."""
    attributes: dict[str, AttributeValue] = {
        gen_ai.GEN_AI_OPERATION_NAME: operation_of(request),
        gen_ai.GEN_AI_PROVIDER_NAME: PROVIDER,
        gen_ai.GEN_AI_REQUEST_MODEL: request.model,
        gen_ai.GEN_AI_REQUEST_STREAM: streamed,
    }
    if request.HasField("max_tokens"):
        attributes[gen_ai.GEN_AI_REQUEST_MAX_TOKENS] = request.max_tokens
    if request.HasField("sampling"):
        for field, value in request.sampling.ListFields():
            if field.name in _SAMPLING:
                attributes[_SAMPLING[field.name]] = value
    if request.n > 1:
        attributes[gen_ai.GEN_AI_REQUEST_CHOICE_COUNT] = request.n
    if request.HasField("response_format"):
        form = request.response_format.WhichOneof("format")
        attributes[gen_ai.GEN_AI_OUTPUT_TYPE] = "json" if form != "text" else "text"
    if request.user:
        attributes[user_attributes.USER_HASH] = user_hash(request)
    if content:
        messages = [_message(message) for message in request.messages] or [_part_of("user", request.prompt.text)]
        attributes[gen_ai.GEN_AI_INPUT_MESSAGES] = json.dumps(messages, ensure_ascii=False)
    return attributes


def operation_of(request: ChatRequest) -> str:
    """The call's `gen_ai.operation.name`."""
    return "text_completion" if request.HasField("prompt") else "chat"


@dataclass(frozen=True, slots=True)
class EndedCall:
    """The spans of a call: the call itself, and its phases below it."""

    record: UsageRecord
    request: Attributes  # request_attributes
    context: SpanContext
    parent: SpanContext
    end: int  # nanoseconds since 1970

    def spans(self) -> Iterator[SpanData]:
        """The call's span, and one for each phase that it reached."""
        record = self.record
        start = self.end - _nanoseconds(record.seconds)
        attributes = {**self.request, **_response_attributes(record)}
        messages = attributes.pop(gen_ai.GEN_AI_INPUT_MESSAGES, None)
        events = []
        if messages is not None:
            content = {gen_ai.GEN_AI_INPUT_MESSAGES: messages, gen_ai.GEN_AI_OUTPUT_MESSAGES: _output(record)}
            events.append(SpanEvent(_DETAILS, self.end, content))
        failed = record.outcome != outcome.COMPLETED
        status = Status(StatusCode.ERROR, record.error or record.outcome) if failed else UNSET
        name = f"{record.facts.operation} {record.facts.model.name}"
        span_id = self.context.span_id
        yield SpanData(span_id, self.parent.span_id, name, start, self.end, attributes, events, status)
        yield from _phases(record, span_id, start, self.end)


def _phases(record: UsageRecord, parent: int, start: int, last: int) -> Iterator[SpanData]:
    """One span after the other, none beyond the call's end."""
    timings, usage = record.timings, record.usage
    phases: tuple[tuple[str, float, Attributes], ...] = (
        ("tokenize", record.facts.tokenize_seconds, {gen_ai.GEN_AI_USAGE_INPUT_TOKENS: usage.prompt_tokens}),
        ("queue", timings.queue, {}),
        ("prefill", timings.prefill, {gen_ai.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: usage.cached_tokens}),
        ("decode", timings.decode, {gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS: usage.completion_tokens}),
    )
    for name, seconds, attributes in phases:
        # Engine and server measure with clocks of their own, which may differ by some microseconds.
        end = min(start + _nanoseconds(seconds), last)
        if seconds > 0:
            events = (SpanEvent("first_token", start),) if name == "decode" else ()
            yield SpanData(new_span_id(), parent, name, start, end, attributes, events)
        start = end


def _response_attributes(record: UsageRecord) -> Attributes:
    usage = record.usage
    attributes: dict[str, AttributeValue] = {
        gen_ai.GEN_AI_RESPONSE_ID: record.facts.origin.ids.chat_id,
        gen_ai.GEN_AI_RESPONSE_MODEL: record.facts.model.name,
        gen_ai.GEN_AI_RESPONSE_FINISH_REASONS: list(record.finish_reasons),
        gen_ai.GEN_AI_USAGE_INPUT_TOKENS: usage.prompt_tokens,
        gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS: usage.completion_tokens,
        gen_ai.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: usage.cached_tokens,
        "chasqui.request_id": record.facts.origin.ids.request_id,
        "chasqui.outcome": record.outcome,
        openai_attributes.OPENAI_RESPONSE_SERVICE_TIER: record.facts.tier.value,
        "chasqui.estimated_cost": usage.estimated_cost,
    }
    if record.outcome != outcome.COMPLETED:
        attributes[error_attributes.ERROR_TYPE] = record.outcome
    return attributes


def _message(message: chat_pb2.Message) -> dict[str, object]:
    """A message as OpenTelemetry's conventions write it: a role, and parts with a type each."""
    role = chat_pb2.Role.Name(message.role).removeprefix("ROLE_").lower()
    parts: list[dict[str, object]] = [{"type": "text", "content": part.text} for part in message.content]
    parts += [
        {"type": "tool_call", "id": call.id, "name": call.function.name, "arguments": call.function.arguments}
        for call in message.tool_calls
    ]
    return {"role": role, "parts": parts}


def _part_of(role: str, text: str) -> dict[str, object]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _output(record: UsageRecord) -> str:
    messages = [_part_of("assistant", text) for text in record.output]
    for message, reason in zip(messages, record.finish_reasons, strict=False):
        message["finish_reason"] = reason
    return json.dumps(messages, ensure_ascii=False)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
