"""Translates text completions to `ChatRequest`s with a prompt, and responses and events back; pure."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from chasqui.v1 import chat_pb2, chat_service_pb2
from edge.api.whole_answer import without_brackets
from edge.openai.answer_schema import Completion, CompletionChoice, CompletionLogprobs
from edge.openai.request import common_fields, token_ids, whole
from edge.openai.response import FINISH_REASONS, SERVICE_TIERS, shared_prompt, timings, usage, usage_so_far
from services.errors import InvalidValue
from services.limits import MAX_PROMPTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from msgspec import UnsetType

    from chasqui.v1.stream_pb2 import Started, StreamEvent
    from edge.openai.answer_schema import UsageBody
    from edge.openai.request_schema import CompletionRequest

# OpenAI's default for text completions.
_DEFAULT_MAX_TOKENS: Final = 16


def to_prompt_requests(body: CompletionRequest) -> list[chat_service_pb2.ChatRequest]:
    """One request per prompt; InvalidValue for values that the proto cannot hold."""
    fields = common_fields(body)
    if fields["max_tokens"] is None:
        fields["max_tokens"] = _DEFAULT_MAX_TOKENS
    top_logprobs = whole("top_logprobs", body.logprobs, "logprobs")
    return [
        chat_service_pb2.ChatRequest(
            **fields,
            prompt=prompt,
            logprobs=None if top_logprobs is None else True,
            top_logprobs=top_logprobs,
        )
        for prompt in _prompts(body)
    ]


def _prompts(body: CompletionRequest) -> list[chat_pb2.Prompt]:
    given = body.prompt
    echo = bool(body.echo)
    if isinstance(given, str):
        return [chat_pb2.Prompt(text=given, echo=echo)]
    if not given:
        raise InvalidValue("prompt is empty.", param="prompt")
    if all(isinstance(item, int) for item in given):
        given = [[item for item in given if isinstance(item, int)]]
    if len(given) > MAX_PROMPTS:
        raise InvalidValue(f"prompt has {len(given)} texts, but may have at most {MAX_PROMPTS}.", param="prompt")
    prompts = []
    for index, item in enumerate(given):
        if isinstance(item, int):
            raise InvalidValue(f"prompt[{index}] is a token among texts.", param=f"prompt[{index}]")
        if isinstance(item, str):
            prompts.append(chat_pb2.Prompt(text=item, echo=echo))
        else:
            ids = chat_pb2.TokenIds(ids=token_ids(item, "prompt"))
            prompts.append(chat_pb2.Prompt(tokens=ids, echo=echo))
    return prompts


def text_completion(response: chat_service_pb2.ChatResponse, logprobs: Mapping[int, CompletionLogprobs]) -> Completion:
    """An unstreamed response, with the log probabilities of its choices."""
    return Completion(
        response.id,
        response.created.seconds,
        response.model,
        response.system_fingerprint,
        SERVICE_TIERS[response.service_tier],
        [
            CompletionChoice(
                choice.index,
                "".join(part.text for part in choice.message.content),
                logprobs.get(choice.index),
                FINISH_REASONS[choice.finish_reason],
                choice.stop_reason if choice.HasField("stop_reason") else UNSET,
            )
            for choice in response.choices
        ],
        usage(response.usage),
    )


class WholeColumns:
    """The log probabilities of one choice of an unstreamed response."""

    def __init__(self, *, tops: bool) -> None:
        """With `tops`, those of the most probable tokens are wanted."""
        self._next = _LogprobColumns(tops=tops)
        self._columns: dict[str, list[msgspec.Raw]] = {name: [] for name in CompletionLogprobs.__struct_fields__}

    def add(self, logprobs: chat_pb2.ChoiceLogprobs) -> None:
        """Those of the next tokens, at least one."""
        columns = self._next.columns(logprobs)
        for name, column in self._columns.items():
            values = getattr(columns, name)
            if values is not None:
                column.append(without_brackets(values))

    def body(self) -> CompletionLogprobs:
        """All of them."""
        columns: dict[str, Any] = {name: column or None for name, column in self._columns.items()}
        return CompletionLogprobs(**columns)


class CompletionSequence:
    """Turns the events of one stream with `choices` choices into chunks, with `tops` with the most probable tokens.

    Usage and timings are placed as in `ChunkSequence`.
    """

    def __init__(
        self,
        *,
        choices: int,
        tops: bool = False,
        include_usage: bool | None = None,
        include_timings: bool | None = None,
    ) -> None:
        self._open = choices
        self._include_usage = include_usage
        self._include_timings = include_timings
        self._usage: UsageBody | UnsetType | None = None if include_usage else UNSET  # of the next chunk
        self._logprobs = [_LogprobColumns(tops=tops) for _ in range(choices)]
        self._last_finish: Completion | None = None
        self._started: Started

    def text(self, index: int, content: str) -> Completion:
        """The chunk for a text delta."""
        return self._chunk(CompletionChoice(index, content))

    def chunks(self, event: StreamEvent) -> Iterator[Completion]:
        """The chunks for any other event; Started comes first, and has none."""
        kind = event.WhichOneof("event")
        if event.HasField("usage_so_far"):
            self._usage = usage_so_far(event.usage_so_far)
        if kind == "started":
            self._started = event.started
        elif kind == "delta":
            delta = event.delta
            columns = self._logprobs[delta.index].columns(delta.logprobs)
            yield self._chunk(CompletionChoice(delta.index, delta.content, columns))
        elif kind == "finish":
            finish = event.finish
            stop_reason = finish.stop_reason if finish.HasField("stop_reason") else UNSET
            reason = FINISH_REASONS[finish.finish_reason]
            chunk = self._chunk(CompletionChoice(finish.index, "", None, reason, stop_reason))
            self._open -= 1
            if self._open or self._include_usage:
                yield chunk
            else:
                self._last_finish = chunk
        elif kind == "completed":
            last = self._last_finish or self._chunk()
            if self._include_usage is not False:
                last.usage = usage(event.completed.usage)
            if self._include_timings:
                last.timings = timings(event.completed.timings)
                last.shared_prompt = shared_prompt(event.completed)
            yield last

    def _chunk(self, *choices: CompletionChoice) -> Completion:
        started = self._started
        return Completion(
            started.id,
            started.created.seconds,
            started.model,
            started.system_fingerprint,
            SERVICE_TIERS[started.service_tier],
            list(choices),
            self._usage,
        )


class _LogprobColumns:
    """The log probabilities of one choice; keeps count of characters, for `text_offset`."""

    def __init__(self, *, tops: bool) -> None:
        self._tops = tops
        self._characters = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def columns(self, logprobs: chat_pb2.ChoiceLogprobs) -> CompletionLogprobs | None:
        """The columns for the next tokens; None if there are none."""
        if not logprobs.content:
            return None
        offsets = []
        for entry in logprobs.content:
            offsets.append(self._characters)
            self._characters += len(self._decoder.decode(entry.bytes))
        return CompletionLogprobs(
            [entry.token for entry in logprobs.content],
            [entry.logprob if entry.HasField("logprob") else None for entry in logprobs.content],
            [_tops(entry) for entry in logprobs.content] if self._tops else None,
            offsets,
        )


def _tops(entry: chat_pb2.TokenLogprob) -> dict[str, float] | None:
    """The most probable tokens; None for the first token of a prompt, which follows nothing."""
    return {other.token: other.logprob for other in entry.top_logprobs} if entry.HasField("logprob") else None
