"""One chat call from its acceptance to its bill: the sink that an engine pushes into."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from chasqui.v1 import chat_pb2, stream_pb2
from services.chat.accounting.settlement import Settlement
from services.chat.answer.outbox import MOST_UNREAD
from services.chat.answer.text import ChoiceText
from services.chat.answer.tool_parser import CallStart, Content, ToolCallParser
from services.engine.api import End, EndReason, EngineTimings
from services.errors import ChasquiError, EngineFailed, SlowReader, UnsupportedParameter
from services.telemetry import outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.chat.accounting.call_facts import CallFacts
    from services.chat.answer.outbox import Outbox
    from services.chat.answer.tool_parser import Parsed
    from services.engine.api import ChoiceEnd, Handle, TokenDelta
    from services.engine.model.tokenizer import Tokenizer

_FINISH_REASONS = {EndReason.STOP: chat_pb2.FINISH_REASON_STOP, EndReason.LENGTH: chat_pb2.FINISH_REASON_LENGTH}


# A gRPC client ends a call at its deadline by itself, and its clock for that began before ours.
_CLOCKS_APART = 0.05


class ChatCall:
    """A running call. Its events are taken from `outbox`; its bill is settled once, when the engine has let go of it.

    `on_settled` is called then, however the call ended; `on_freed`, if it was cancelled, when its place in the engine
    is free, with the seconds that this took.
    """

    def __init__(
        self,
        facts: CallFacts,
        tokenizer: Tokenizer,
        outbox: Outbox,
        *,
        on_settled: Callable[[Settlement], None],
        on_freed: Callable[[float], None],
    ) -> None:
        self.outbox = outbox
        self.outcome = outcome.CANCELLED  # until it ends otherwise
        self.usage = chat_pb2.Usage()
        self.finish_reasons: dict[int, str] = {}
        self.started = stream_pb2.Started(
            id=f"{facts.id_prefix}{uuid4().hex}",
            created=Timestamp(seconds=int(datetime.now(UTC).timestamp())),
            model=facts.model,
            system_fingerprint=facts.system_fingerprint,
        )
        self._facts = facts
        self._choices = [ChoiceText(tokenizer.decoder(), facts.stops, logprobs=facts.logprobs) for _ in range(facts.n)]
        self._parsers = [
            ToolCallParser(facts.tool_names, parallel=facts.parallel_tool_calls) if facts.tool_names else None
            for _ in range(facts.n)
        ]
        self._on_settled = on_settled
        self._on_freed = on_freed
        self._handle: Handle | None = None
        self._accepted = time.monotonic()
        self._waited = 0.0  # seconds until the engine had the call
        self._settled = False
        self._closed = False
        self._expiry: asyncio.TimerHandle | None = None
        self._cancelled: float | None = None  # when, if it was
        self._written: list[list[str]] = [[] for _ in range(facts.n)] if facts.traces_output else []

    def accept(self) -> None:
        """The call is queued, and its caller hears of it."""
        self.outbox.start(self.started)
        if self._facts.echo:
            for index in range(self._facts.n):
                self.outbox.add_text(index, self._facts.echo)

    def attach(self, handle: Handle) -> None:
        """The engine has the call now; comes right after its submission."""
        self._handle = handle
        self._waited = time.monotonic() - self._accepted

    def end_empty(self, end: End) -> None:
        """Accept and end a call that asked for no tokens, without an engine."""
        self.accept()
        for index in range(self._facts.n):
            self._finish(index, chat_pb2.FINISH_REASON_LENGTH)
        self.end(end)

    def expire_after(self, seconds: float, error: ChasquiError) -> None:
        """Fail with `error` unless the call has ended by then."""
        self._expiry = asyncio.get_running_loop().call_later(max(seconds, 0), self.fail, error)

    def fail(self, error: ChasquiError) -> None:
        """End early with an error for the caller; the tokens so far are billed."""
        if not self._closed:
            self._closed = True
            self.outcome = outcome.outcome_of(error)
            self.outbox.fail(error)
        self._cancel()

    def close(self) -> None:
        """The caller is served or gone; without effect on a call that has ended."""
        if not self._closed and self._is_overdue():
            self.outcome = outcome.DEADLINE
        self._closed = True
        self._cancel()

    # What the engine pushes.

    def token_delta(self, delta: TokenDelta) -> None:
        """Count the tokens and make them visible, unless their choice or the call has ended for the caller."""
        choice = self._choices[delta.choice]
        if choice.ended:
            return
        self.outbox.tokens += delta.tokens
        if self._closed:
            return
        text = choice.push(delta)
        if text:
            self._show(delta.choice, text)
            if self.outbox.unread > MOST_UNREAD:
                self.fail(SlowReader())
        if self._facts.logprobs:
            matched = choice.stop_reason is not None
            self.outbox.add_logprobs(delta.choice, choice.logprobs(len(text), last=matched))
        parser = self._parsers[delta.choice]
        if choice.stop_reason is not None or (parser is not None and parser.done):
            self._end_choice(delta.choice, chat_pb2.FINISH_REASON_STOP)
            self._cancel(delta.choice)

    def choice_end(self, end: ChoiceEnd) -> None:
        """Show what was held back, and the finish, unless nobody is there to see it."""
        choice = self._choices[end.choice]
        if choice.ended or self._closed or end.reason is EndReason.CANCELLED:
            return
        text = choice.flush()
        if text:
            self._show(end.choice, text)
        if self._facts.logprobs:
            self.outbox.add_logprobs(end.choice, choice.logprobs(len(text), last=True))
        matched = choice.stop_reason is not None
        self._end_choice(end.choice, chat_pb2.FINISH_REASON_STOP if matched else _FINISH_REASONS[end.reason])

    def end(self, end: End) -> None:
        """Settle the bill, and complete the answer unless it has already ended with an error or without a caller."""
        end = replace(end, timings=replace(end.timings, queue=self._waited + end.timings.queue))
        total = end.prompt_tokens + self.outbox.tokens
        self.usage = chat_pb2.Usage(
            prompt_tokens=end.prompt_tokens,
            completion_tokens=self.outbox.tokens,
            total_tokens=total,
            cached_tokens=end.cached_tokens,
            estimated_cost=total * self._facts.price / 1e6,
        )
        if not self._closed:
            self._closed = True
            if end.error is not None:
                self.outcome = outcome.FAILED
                self.outbox.fail(self._failure(end))
            else:
                self.outcome = outcome.COMPLETED
                self.outbox.complete(stream_pb2.Completed(usage=self.usage, timings=self._timings(end)))
        self._settle(end)

    def _is_overdue(self) -> bool:
        """Whether a caller who is gone has not waited any longer than it said it would."""
        expiry = self._expiry
        return expiry is not None and asyncio.get_running_loop().time() > expiry.when() - _CLOCKS_APART

    def _failure(self, end: End) -> ChasquiError:
        if end.grammar_lost:
            param = self._facts.grammar_param
            return UnsupportedParameter(f"{param}: the schema became too complex to enforce.", param=param)
        return EngineFailed(f"The engine failed: {end.error}")

    def _show(self, choice: int, text: str) -> None:
        """Text that the model wrote, as content or as pieces of calls."""
        if self._written:
            self._written[choice].append(text)
        parser = self._parsers[choice]
        if parser is None:
            self.outbox.add_text(choice, text)
        else:
            self._show_parsed(choice, parser.push(text))

    def _show_parsed(self, choice: int, parts: Sequence[Parsed]) -> None:
        for part in parts:
            if isinstance(part, Content):
                self.outbox.add_text(choice, part.text)
            elif isinstance(part, CallStart):
                self.outbox.start_call(choice, part.index, f"call_{uuid4().hex[:24]}", part.name)
            else:
                self.outbox.add_arguments(choice, part.index, part.text)

    def _end_choice(self, choice: int, reason: chat_pb2.FinishReason.ValueType) -> None:
        """Release what the parser held back. An answer with calls ends with them, unless it was cut."""
        parser = self._parsers[choice]
        if parser is not None:
            self._show_parsed(choice, parser.flush())
            # OpenAI answers a call of the function that the caller named with "stop".
            if parser.calls and reason == chat_pb2.FINISH_REASON_STOP and not self._facts.call_is_named:
                reason = chat_pb2.FINISH_REASON_TOOL_CALLS
        self._finish(choice, reason)

    def _finish(self, choice: int, reason: chat_pb2.FinishReason.ValueType) -> None:
        self._choices[choice].ended = True
        self.finish_reasons[choice] = chat_pb2.FinishReason.Name(reason).removeprefix("FINISH_REASON_").lower()
        self.outbox.add_finish(choice, reason, self._choices[choice].stop_reason)

    def _cancel(self, choice: int | None = None) -> None:
        if self._handle is not None:
            if choice is None and not self._settled and self._cancelled is None:
                self._cancelled = time.monotonic()
                self._handle.released.add_done_callback(self._freed)
            self._handle.cancel(choice)
        elif not self._settled:
            # It still waits, and has cost nothing.
            self._waited = time.monotonic() - self._accepted
            self.end(End(0, 0, 0, EngineTimings()))

    def _freed(self, _: object) -> None:
        if self._cancelled is not None:
            self._on_freed(time.monotonic() - self._cancelled)

    def _timings(self, end: End) -> chat_pb2.Timings:
        total = time.monotonic() - self._facts.received
        return chat_pb2.Timings(
            queue=_duration(end.timings.queue),
            tokenize=_duration(self._facts.tokenize_seconds),
            prefill=_duration(end.timings.prefill),
            decode=_duration(end.timings.decode),
            total=_duration(total),
        )

    def _settle(self, end: End) -> None:
        """The one place where a call is accounted for, on every exit path."""
        self._settled = True
        if self._expiry is not None:
            self._expiry.cancel()
        settlement = Settlement(
            facts=self._facts,
            chat_id=self.started.id,
            outcome=self.outcome,
            error=end.error,
            finish_reasons=[reason for _, reason in sorted(self.finish_reasons.items())],
            usage=self.usage,
            timings=end.timings,
            seconds=time.monotonic() - self._facts.received,
            output=["".join(parts) for parts in self._written],
        )
        self._on_settled(settlement)


def _duration(seconds: float) -> Duration:
    nanoseconds = max(round(seconds * 1e9), 0)
    return Duration(seconds=nanoseconds // 10**9, nanos=nanoseconds % 10**9)
