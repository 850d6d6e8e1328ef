"""A chat call's spans, by OpenTelemetry's conventions for generative AI: the call, and its phases below it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import Event
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv._incubating.attributes import openai_attributes, user_attributes
from opentelemetry.semconv.attributes import error_attributes
from opentelemetry.trace import Status, StatusCode

from chasqui.v1 import chat_pb2
from services.chat.accounting.call_facts import user_hash
from services.telemetry import outcome
from services.telemetry.spans import UNSET, child_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import SpanContext

    from chasqui.v1.chat_service_pb2 import ChatRequest
    from services.chat.accounting.usage_record import UsageRecord
    from services.telemetry.spans import Spans

    Attributes = dict[str, str | int | float | bool | list[str]]

PROVIDER: Final = "chasqui"
_SAMPLING: Final = {
    "max_tokens": gen_ai.GEN_AI_REQUEST_MAX_TOKENS,
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
    attributes: Attributes = {
        gen_ai.GEN_AI_OPERATION_NAME: operation_of(request),
        gen_ai.GEN_AI_PROVIDER_NAME: PROVIDER,
        gen_ai.GEN_AI_REQUEST_MODEL: request.model,
        gen_ai.GEN_AI_REQUEST_STREAM: streamed,
    }
    for message in (request, request.sampling):
        for field, value in message.ListFields():
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


class CallSpans:
    """Writes the spans of calls that have ended."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans

    def write(
        self, record: UsageRecord, request: Mapping[str, object], context: SpanContext, parent: SpanContext
    ) -> None:
        """The call as `context`, below `parent`, and its phases below it; `request` has `request_attributes`."""
        end = time.time_ns()
        start = end - _nanoseconds(record.seconds)
        attributes: dict[str, Any] = {**request, **_response_attributes(record)}
        messages = attributes.pop(gen_ai.GEN_AI_INPUT_MESSAGES, None)
        events = []
        if messages is not None:
            content = {gen_ai.GEN_AI_INPUT_MESSAGES: messages, gen_ai.GEN_AI_OUTPUT_MESSAGES: _output(record)}
            events.append(Event(_DETAILS, content, end))
        failed = record.outcome != outcome.COMPLETED
        self._spans.add(
            f"{record.facts.operation} {record.facts.model.name}",
            context,
            parent,
            start=start,
            end=end,
            attributes=attributes,
            events=events,
            status=Status(StatusCode.ERROR, record.error or record.outcome) if failed else UNSET,
        )
        self._phases(record, context, start, end)

    def _phases(self, record: UsageRecord, parent: SpanContext, start: int, last: int) -> None:
        """One span after the other, none beyond the call's end; a phase that the call never reached has none."""
        timings, usage = record.timings, record.usage
        cached = {gen_ai.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: usage.cached_tokens}
        prompt = {gen_ai.GEN_AI_USAGE_INPUT_TOKENS: usage.prompt_tokens}
        answer = {gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS: usage.completion_tokens}
        phases = (
            ("tokenize", record.facts.tokenize_seconds, prompt),
            ("queue", timings.queue, None),
            ("prefill", timings.prefill, cached),
            ("decode", timings.decode, answer),
        )
        for name, seconds, attributes in phases:
            # Engine and server measure with clocks of their own, which may differ by some microseconds.
            end = min(start + _nanoseconds(seconds), last)
            if seconds > 0:
                events = [Event("first_token", timestamp=start)] if name == "decode" else []
                self._spans.add(
                    name, child_of(parent), parent, start=start, end=end, attributes=attributes, events=events
                )
            start = end


def _response_attributes(record: UsageRecord) -> Attributes:
    usage = record.usage
    attributes: Attributes = {
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
