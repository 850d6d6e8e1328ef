"""Translates `ChatResponse`s, stream events and models to OpenAI's JSON; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from chasqui.v1 import chat_pb2
from edge.api.whole_answer import without_brackets
from edge.openai.answer_schema import (
    AnswerCall,
    AnswerFunction,
    AnswerMessage,
    CallDelta,
    ChatCompletion,
    ChatCompletionChunk,
    ChoiceBody,
    ChunkChoice,
    DeltaBody,
    FunctionDelta,
    LimitBody,
    LogprobsBody,
    ModelBody,
    PricingBody,
    PromptTokensDetails,
    SharedPromptBody,
    TimingsBody,
    TokenLogprobBody,
    TopLogprobBody,
    UsageBody,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from msgspec import UnsetType

    from chasqui.v1.chat_service_pb2 import ChatResponse
    from chasqui.v1.model_pb2 import Model, Price
    from chasqui.v1.stream_pb2 import ChoiceDelta, ChoiceFinish, Completed, Started, StreamEvent

FINISH_REASONS = {
    chat_pb2.FINISH_REASON_STOP: "stop",
    chat_pb2.FINISH_REASON_LENGTH: "length",
    chat_pb2.FINISH_REASON_TOOL_CALLS: "tool_calls",
}
SERVICE_TIERS = {
    chat_pb2.SERVICE_TIER_DEFAULT: "default",
    chat_pb2.SERVICE_TIER_PRIORITY: "priority",
    chat_pb2.SERVICE_TIER_FLEX: "flex",
}


def completion(response: ChatResponse, logprobs: Mapping[int, LogprobsBody]) -> ChatCompletion:
    """An unstreamed response, with the log probabilities of its choices."""
    return ChatCompletion(
        id=response.id,
        created=response.created.seconds,
        model=response.model,
        system_fingerprint=response.system_fingerprint,
        service_tier=SERVICE_TIERS[response.service_tier],
        choices=[
            ChoiceBody(
                index=choice.index,
                message=_message(choice.message),
                finish_reason=FINISH_REASONS[choice.finish_reason],
                logprobs=logprobs.get(choice.index),
                stop_reason=choice.stop_reason if choice.HasField("stop_reason") else UNSET,
            )
            for choice in response.choices
        ],
        usage=usage(response.usage),
    )


class WholeLogprobs:
    """The log probabilities of one choice of an unstreamed response."""

    def __init__(self) -> None:
        self._entries: list[Any] = []

    def add(self, logprobs: chat_pb2.ChoiceLogprobs) -> None:
        """Those of the next tokens, at least one."""
        self._entries.append(without_brackets(logprob_entries(logprobs)))

    def body(self) -> LogprobsBody:
        """All of them."""
        return LogprobsBody(self._entries)


class ChunkSequence:
    """Turns the events of one stream with `n` choices into chunks.

    The first chunk of each choice carries the role, and the empty beginning of its content or, before a forced call,
    null. Usage is on the last chunk with a `finish_reason`, as in the
    reference service; with `include_usage` true it is in a last chunk without choices, and null in all others, as in
    OpenAI's API; with false there is none. Where events carry the usage so far, so do their chunks. With
    `include_timings` the last chunk has the timings.
    """

    def __init__(
        self,
        *,
        n: int,
        include_usage: bool | None = None,
        include_timings: bool | None = None,
        is_call_forced: bool = False,
    ) -> None:
        self._n = n
        self._first_content = None if is_call_forced else ""
        self._include_usage = include_usage
        self._include_timings = include_timings
        self._usage: UsageBody | UnsetType | None = None if include_usage else UNSET  # of the next chunk
        self._finishes = 0
        self._last_finish: ChatCompletionChunk | None = None
        self._started: Started

    def text(self, index: int, content: str) -> ChatCompletionChunk:
        """The chunk for a text delta."""
        return self._chunk(ChunkChoice(index, DeltaBody(content=content)))

    def chunks(self, event: StreamEvent) -> Iterator[ChatCompletionChunk]:
        """The chunks for any other event; Started comes first."""
        kind = event.WhichOneof("event")
        if event.HasField("usage_so_far"):
            self._usage = usage_so_far(event.usage_so_far)
        if kind == "delta":
            yield self._chunk(ChunkChoice(event.delta.index, _delta(event.delta), _logprobs(event.delta.logprobs)))
        elif kind == "started":
            self._started = event.started
            for index in range(self._n):
                yield self._chunk(ChunkChoice(index, DeltaBody(role="assistant", content=self._first_content)))
        elif kind == "finish":
            yield from self._finish(event.finish)
        elif kind == "completed":
            last = self._last_finish or self._chunk()
            if self._include_usage is not False:
                last.usage = usage(event.completed.usage)
            if self._include_timings:
                last.timings = timings(event.completed.timings)
                last.shared_prompt = shared_prompt(event.completed)
            yield last

    def _finish(self, finish: ChoiceFinish) -> Iterator[ChatCompletionChunk]:
        """The last finish chunk is held back until the usage is known, unless that has a chunk of its own."""
        self._finishes += 1
        chunk = self._chunk(
            ChunkChoice(
                finish.index,
                DeltaBody(),
                finish_reason=FINISH_REASONS[finish.finish_reason],
                stop_reason=finish.stop_reason if finish.HasField("stop_reason") else UNSET,
            )
        )
        if self._finishes == self._n and not self._include_usage:
            self._last_finish = chunk
        else:
            yield chunk

    def _chunk(self, *choices: ChunkChoice) -> ChatCompletionChunk:
        started = self._started
        return ChatCompletionChunk(
            started.id,
            started.created.seconds,
            started.model,
            started.system_fingerprint,
            SERVICE_TIERS[started.service_tier],
            list(choices),
            self._usage,
        )


def _message(message: chat_pb2.Message) -> AnswerMessage:
    text = "".join(part.text for part in message.content)
    calls = [
        AnswerCall(call.id, AnswerFunction(call.function.name, call.function.arguments)) for call in message.tool_calls
    ]
    return AnswerMessage(text or (None if calls else ""), tool_calls=calls or UNSET)


def _delta(delta: ChoiceDelta) -> DeltaBody:
    calls = [
        CallDelta(
            call.index,
            FunctionDelta(call.arguments, call.name if call.HasField("name") else None),
            call.id if call.HasField("id") else None,
            "function" if call.HasField("id") else None,
        )
        for call in delta.tool_calls
    ]
    return DeltaBody(content=delta.content or UNSET, tool_calls=calls or None)


def _logprobs(logprobs: chat_pb2.ChoiceLogprobs) -> LogprobsBody | None:
    if not logprobs.content:
        return None
    return LogprobsBody(logprob_entries(logprobs))


def logprob_entries(logprobs: chat_pb2.ChoiceLogprobs) -> list[TokenLogprobBody]:
    """The tokens with their log probabilities."""
    return [
        TokenLogprobBody(
            entry.token,
            entry.logprob,
            list(entry.bytes),
            [TopLogprobBody(other.token, other.logprob, list(other.bytes)) for other in entry.top_logprobs],
        )
        for entry in logprobs.content
    ]


def usage(counted: chat_pb2.Usage) -> UsageBody:
    """The usage."""
    return UsageBody(
        counted.prompt_tokens,
        counted.completion_tokens,
        counted.total_tokens,
        PromptTokensDetails(counted.cached_tokens),
        counted.estimated_cost,
    )


def usage_so_far(counted: chat_pb2.Usage) -> UsageBody:
    """The counts before the end of a stream."""
    return UsageBody(counted.prompt_tokens, counted.completion_tokens, counted.total_tokens)


def shared_prompt(completed: Completed) -> SharedPromptBody | UnsetType:
    """What the prompt has in common with an earlier one; unset for a caller's first prompt."""
    if not completed.HasField("shared_prompt"):
        return UNSET
    shared = completed.shared_prompt
    return SharedPromptBody(shared.tokens, shared.previous_tokens, shared.parted_at)


def timings(measured: chat_pb2.Timings) -> TimingsBody:
    """The time of each phase."""
    names = TimingsBody.__struct_fields__
    return TimingsBody(*(round(getattr(measured, name).ToTimedelta().total_seconds() * 1e3, 3) for name in names))


def _pricing(price: Price) -> PricingBody:
    return PricingBody(
        price.usd_per_million_prompt_tokens,
        price.usd_per_million_cached_tokens,
        price.usd_per_million_completion_tokens,
    )


def model_body(model: Model) -> ModelBody:
    """The description of a model."""
    return ModelBody(
        id=model.id,
        created=model.created.seconds,
        owned_by=model.owned_by,
        aliases=list(model.aliases),
        context_length=model.context_length,
        default_max_tokens=model.default_max_tokens,
        quantization=model.quantization,
        pricing=_pricing(model.price),
        tier_pricing={SERVICE_TIERS[each.tier]: _pricing(each.price) for each in model.tier_prices},
        supported_parameters=list(model.capabilities.parameters),
        tool_syntax=model.capabilities.tool_syntax or None,
        chat=model.capabilities.chat,
        limits={
            limit.parameter: LimitBody(
                limit.minimum,
                limit.maximum,
                limit.exclusive_minimum,
                limit.integer,
                limit.default_value if limit.HasField("default_value") else None,
            )
            for limit in model.limits
        },
        engine=model.engine,
        system_fingerprint=model.system_fingerprint,
    )
