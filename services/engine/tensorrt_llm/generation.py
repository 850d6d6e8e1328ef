"""A generation in TensorRT-LLM: one submission per choice, read by position in the cumulative token ids."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from services.engine.api import ChoiceEnd, End, EndReason, EngineTimings, TokenDelta, deliver_end
from services.engine.tensorrt_llm.logprobs import token_logprobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.engine.api import Generation, Sink, TokenLogprob

_REASONS = {"stop": EndReason.STOP, "length": EndReason.LENGTH}


class UnexplainedEndError(Exception):
    """The engine ended a submission with an unexpected reason; the message is one sentence."""


class EmptyCompletionError(UnexplainedEndError):
    """Success without a token: the symptom of lost KV-cache blocks (TensorRT-LLM#12933)."""


@dataclass(slots=True)
class Progress:
    """The counter of engine steps that the heartbeat reports."""

    count: int = 0


@dataclass(slots=True, eq=False)
class TensorRtLlmHandle:
    """A generation. `choices` are the open ones. With `copies` (greedy sampling) one submission serves all of them."""

    generation: Generation
    sink: Sink
    released: asyncio.Future[None]
    end_ids: frozenset[int]
    on_cancel: Callable[[TensorRtLlmHandle, int | None], None]
    progress: Progress
    token_bytes: Callable[[int], bytes]
    copies: bool
    choices: set[int] = field(default_factory=set)
    submitted: float = field(default_factory=time.monotonic)
    started: float = 0.0
    first_token: asyncio.Event = field(default_factory=asyncio.Event)  # also set when the generation ends without one
    results: dict[int, Any] = field(default_factory=dict)
    completion_tokens: int = 0
    cached_tokens: int = 0
    engine_timings: EngineTimings | None = None
    ended: bool = False

    def __post_init__(self) -> None:
        self.choices.update(range(self.generation.n))

    @property
    def slots(self) -> int:
        """One per submission, which is one sequence of the engine."""
        return 1 if self.copies else self.generation.n

    def cancel(self, choice: int | None = None) -> None:
        """End one choice or all in the loop's next turn."""
        self.on_cancel(self, choice)

    def open_choices(self, submission: int) -> list[int]:
        """The open choices that receive the tokens of a submission."""
        return [choice for choice in sorted(self.choices) if self.copies or choice == submission]

    async def read(self, submission: int, result: Any) -> None:
        """Push the tokens of one submission until its final step; raises what the engine raises.

        The engine yields the same object at each step. Its ids are cumulative and can shrink when a stop token is cut
        off, so `sent` counts what was already pushed. Steps after a cancel are read and dropped.
        """
        sent, push, end_ids, progress, top = 0, self._push, self.end_ids, self.progress, self.generation.top_logprobs
        output = None
        async for _ in result:
            progress.count += 1
            output = result.outputs[0]
            ids = output.token_ids
            count = len(ids)
            if count > sent:
                fresh = ids[sent:]
                length = len(fresh) if end_ids.isdisjoint(fresh) else self._length_before_end(fresh, sent)
                shown = fresh[:length] if length < len(fresh) else fresh
                if top is None:
                    push(submission, shown)
                else:
                    reported = output.logprobs[sent : sent + length]
                    push(submission, shown, token_logprobs(shown, reported, top, self.token_bytes))
                sent = count
                if length < len(fresh) and self.generation.min_tokens_left:
                    self._stop(submission, result)
        if output is not None:
            self._take_metrics(submission, result, output)
        self._finish(submission, output.finish_reason if output is not None else None, sent)

    def _length_before_end(self, fresh: list[int], sent: int) -> int:
        """How many of the fresh ids come before one that ends the choice; none does before min_tokens."""
        first = max(0, self.generation.min_tokens_left - sent)
        return next((i for i, token in enumerate(fresh) if i >= first and token in self.end_ids), len(fresh))

    def _stop(self, submission: int, result: Any) -> None:
        """End choices at a token that the engine takes for an ordinary one, and have the submission aborted."""
        choices = self.open_choices(submission)
        if choices:
            self.take_cached_tokens(submission, result)
            for choice in choices:
                self.end_choice(choice, EndReason.STOP)
            self.on_cancel(self, choices[0])

    def _push(self, submission: int, ids: list[int], logprobs: Sequence[TokenLogprob] = ()) -> None:
        if not self.first_token.is_set():
            self.first_token.set()
        count = len(ids)
        if not count:
            return
        if self.copies:
            for choice in self.choices:
                self.completion_tokens += count
                self.sink.token_delta(TokenDelta(choice, count, "", ids, logprobs))
        elif submission in self.choices:
            self.completion_tokens += count
            self.sink.token_delta(TokenDelta(submission, count, "", ids, logprobs))

    def _finish(self, submission: int, finish_reason: str | None, seen: int) -> None:
        choices = self.open_choices(submission)
        if not choices:
            return  # they were cancelled
        reason = _REASONS.get(finish_reason or "")
        if reason is None:
            raise UnexplainedEndError(f"The engine ended the request with the finish reason {finish_reason}.")
        if reason is EndReason.LENGTH and seen == 0:
            raise EmptyCompletionError("The engine reported success without a token.")
        for choice in choices:
            self.end_choice(choice, reason)

    def end_choice(self, choice: int, reason: EndReason) -> None:
        """End an open choice for the caller, and the generation after the last one."""
        self.choices.discard(choice)
        self.sink.choice_end(ChoiceEnd(choice, reason))
        if not self.choices:
            self.end()

    def end(self, error: str | None = None) -> None:
        """End the generation for the caller, once; choices that are open are cancelled."""
        if self.ended:
            return
        self.ended = True
        for choice in sorted(self.choices):
            self.sink.choice_end(ChoiceEnd(choice, EndReason.CANCELLED))
        self.choices.clear()
        self.first_token.set()
        prompt = len(self.generation.prompt)
        end = End(prompt, min(self.cached_tokens, prompt), self.completion_tokens, self._timings(), error)
        deliver_end(self.sink, end)

    def take_cached_tokens(self, submission: int, result: Any) -> None:
        """Only of the first submission: the others reuse the KV cache that it has just filled."""
        if not submission:
            self.cached_tokens = result.cached_tokens or 0

    def _take_metrics(self, submission: int, result: Any, output: Any) -> None:
        self.take_cached_tokens(submission, result)
        if submission or output.request_perf_metrics is None:
            return
        moments = output.request_perf_metrics.timing_metrics
        arrival, scheduled, first, last = (
            moment.total_seconds()
            for moment in (
                *(moments.arrival_time, moments.first_scheduled_time),
                *(moments.first_token_time, moments.last_token_time),
            )
        )
        queue = self.started - self.submitted + max(0.0, scheduled - arrival)
        self.engine_timings = EngineTimings(queue, max(0.0, first - scheduled), max(0.0, last - first))

    def _timings(self) -> EngineTimings:
        """The engine's own times if it reported them, else times measured here."""
        if self.engine_timings is not None:
            return self.engine_timings
        now = time.monotonic()
        started = self.started or now
        return EngineTimings(started - self.submitted, 0.0, now - started)
