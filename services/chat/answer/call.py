"""One chat call, from the moment it is queued until the engine has ended it: the sink that an engine pushes into."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from chasqui.v1 import chat_pb2, stream_pb2
from services.chat.accounting.usage_record import UsageRecord
from services.chat.answer.choice import Choice
from services.chat.answer.deadline import Deadline
from services.chat.answer.engine_run import EngineRun
from services.chat.answer.logprobs import entry_of
from services.chat.answer.outbox import MOST_UNREAD
from services.chat.answer.rate_limits import show_rate_limits
from services.chat.answer.usage import timings_of, usage_of
from services.engine.api import ChoiceEnd, End, EndReason, EngineTimings
from services.errors import ChasquiError, EngineFailed, SlowReader, UnsupportedParameter
from services.telemetry import outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from services.chat.accounting.call_facts import CallFacts
    from services.chat.answer.form import AnswerForm
    from services.chat.answer.kept_tokens import KeptTokens
    from services.chat.answer.outbox import Outbox
    from services.engine.api import Handle, TokenDelta, TokenLogprob
    from services.engine.model.tokenizer import Tokenizer

log = logging.getLogger(__name__)


class ChatCall:
    """Fills `outbox` with the events of a call.

    `on_end` is called once with the call's usage record, when the engine has ended it for whatever reason;
    `on_released`, after a cancellation, with the seconds until its slots in the engine were free.
    """

    def __init__(
        self,
        facts: CallFacts,
        form: AnswerForm,
        tokenizer: Tokenizer,
        outbox: Outbox,
        *,
        on_end: Callable[[UsageRecord], None],
        on_released: Callable[[float], None],
        keeps_output: bool = False,
    ) -> None:
        """With `keeps_output` the usage record has the text of the choices."""
        self.outbox = outbox
        self.outcome = outcome.CANCELLED  # until it ends otherwise
        self.usage = chat_pb2.Usage()
        self._cost = 0  # in picodollars
        self._facts = facts
        self._form = form
        self._tokenizer = tokenizer
        self._keeps_output = keeps_output
        self._choices = self._new_choices()
        self._on_end = on_end
        self._run = EngineRun(on_released)
        self._deadline: Deadline | None = None
        self._latest_start: Deadline | None = None
        self._unscored_echo = form.echo
        self._accepted = False
        # While it gives up its slots: what it keeps, and what is called then.
        self._preempted: tuple[KeptTokens, Callable[[], None]] | None = None
        self._closed = False  # no more events are for the caller
        self._recorded = False

    @property
    def rate_limits(self) -> Mapping[str, str]:
        """The trailing metadata that says how the limits of the caller's key stand."""
        return self._facts.limits.headers()

    def accept(self, prompt_tokens: int) -> None:
        """The call is queued: its caller gets Started, once, and the echo of the prompt if it asked for that."""
        if self._accepted:
            return
        self._accepted = True
        model = self._facts.model
        if self._form.counted_prompt is not None:
            self.outbox.count_usage(self._form.counted_prompt)
        started = stream_pb2.Started(
            id=self._facts.origin.ids.chat_id,
            created=Timestamp(seconds=int(self._facts.origin.arrived.timestamp())),
            model=model.name,
            system_fingerprint=model.fingerprint,
            service_tier=chat_pb2.ServiceTier.Value(f"SERVICE_TIER_{self._facts.tier.name}"),
            prompt_tokens=prompt_tokens,
        )
        show_rate_limits(started, self._facts.limits)
        self.outbox.start(started)
        if self._form.echo and not self._form.scores_prompt:
            self.outbox.add_echo(self._form.echo, self._form.n)

    def submit(self, submit: Callable[[], Handle]) -> None:
        """The call's turn has come: `submit` gives it to the engine."""
        self._run.submit(submit)
        if self._latest_start is not None:
            self._latest_start.cancel()

    def preempt(self, kept: KeptTokens, queue_again: Callable[[], None]) -> bool:
        """Give up the slots for a call that may not wait; `queue_again` is called when the engine has ended this one.

        It then goes on behind the tokens that are `kept`, or begins again. False, and nothing happens, if it can do
        neither: its caller may have some of the answer, and streams have no pauses.
        """
        resumes = kept.resumable and not self.outbox.streamed
        begins_again = self.outbox.can_begin_again and not self._form.echo
        if self._closed or any(choice.ended for choice in self._choices) or not (resumes or begins_again):
            return False
        self._preempted = kept, queue_again
        self._run.cancel()
        return True

    def end_empty(self, prompt_tokens: int) -> None:
        """Accept and end a call that asked for no tokens, without the engine."""
        self.accept(prompt_tokens)
        for choice in self._choices:
            choice.end(EndReason.LENGTH)
        self.end(End(prompt_tokens, 0, 0, EngineTimings()))

    def start_within(self, seconds: float, error: Callable[[], ChasquiError]) -> None:
        """Fail with an error unless the engine has the call, or the call has ended, by then; nothing is billed then."""
        if self._run.submitted or self._recorded:
            return

        def give_up() -> None:
            self._forget()
            self.fail(error())

        self._latest_start = Deadline(seconds, give_up)

    def expire_after(self, seconds: float, error: ChasquiError) -> None:
        """Fail with `error` unless the call has ended by then."""
        self._deadline = Deadline(seconds, lambda: self.fail(error))

    def fail(self, error: ChasquiError) -> None:
        """End early with an error for the caller; the tokens so far are counted."""
        if not self._closed:
            self._closed = True
            self.outcome = outcome.outcome_of(error)
            self.outbox.fail(error)
        self._cancel()

    def close(self) -> None:
        """The caller has its answer or is gone; without effect on a call that has ended."""
        if not self._closed and self._deadline is not None and self._deadline.passed:
            self.outcome = outcome.DEADLINE
        self._closed = True
        self._cancel()

    # The sink's methods, which the engine calls. What fails in them ends this call alone.

    def prompt_logprobs(self, entries: Sequence[TokenLogprob]) -> None:
        """Repeat the next tokens of the prompt in every choice; the first of them come with all of its text."""
        if not self._closed:
            text, self._unscored_echo = self._unscored_echo, ""
            self.outbox.add_echo(text, self._form.n, [entry_of(token, token.data) for token in entries])

    def token_delta(self, delta: TokenDelta) -> None:
        """Count the tokens and show them, unless their choice or the call has ended for the caller."""
        choice = self._choices[delta.choice]
        if choice.ended:
            return
        self.outbox.tokens += delta.tokens
        if self._closed:
            return
        try:
            ended = choice.push(delta)
        except Exception as error:  # noqa: BLE001 - logged
            self._break(error)
            return
        if self.outbox.unread > MOST_UNREAD:
            self.fail(SlowReader())
        elif ended:
            self._run.cancel_choice(delta.choice)

    def choice_end(self, end: ChoiceEnd) -> None:
        """Finish the choice, unless it or the call has ended for the caller."""
        choice = self._choices[end.choice]
        if not (choice.ended or self._closed or end.reason is EndReason.CANCELLED):
            try:
                choice.end(end.reason)
            except Exception as error:  # noqa: BLE001 - logged
                self._break(error)

    def end(self, end: End) -> None:
        """Complete the answer, unless the call has ended for the caller before, and record the usage."""
        preempted, self._preempted = self._preempted, None
        if preempted is not None and not self._closed:
            kept, queue_again = preempted
            if self._waits_again(kept, end):
                queue_again()
                return
        end = self._run.total(end)
        seconds = time.monotonic() - self._facts.received
        try:
            tokens = self.outbox.tokens
            self._cost = self._facts.model.price.cost(end.prompt_tokens, end.cached_tokens, tokens)
            self.usage = usage_of(end, tokens, self._cost)
            self._complete(end, seconds)
        except Exception as error:  # noqa: BLE001 - logged
            self._recorded = True  # there is nothing left to cancel
            self._break(error)
        finally:
            self._record(end, seconds)

    def _waits_again(self, kept: KeptTokens, end: End) -> bool:
        """Whether the engine has more to do for a call that gave its slots up: the rest, or all of it again.

        It may have ended, or failed, before its cancellation.
        """
        if end.error is not None or all(choice.ended for choice in self._choices):
            return False
        if not (kept.resumable and self.outbox.tokens):
            kept.drop()
            self._forget()
        elif kept.generation.tokens_left:
            self._run.interrupt(end)
        else:
            self.choice_end(ChoiceEnd(0, EndReason.LENGTH))
            return False
        return True

    def _forget(self) -> None:
        """Drop what was generated, which was neither sent nor billed."""
        self.outbox.begin_again()
        self._choices = self._new_choices()
        self._run.begin_again()

    def _new_choices(self) -> list[Choice]:
        form, decoder = self._form, self._tokenizer.decoder
        return [Choice(index, form, decoder(), self.outbox, keeps_output=self._keeps_output) for index in range(form.n)]

    def _complete(self, end: End, seconds: float) -> None:
        """The end of the answer, unless the call has ended for the caller before."""
        if self._closed:
            return
        if end.error is not None:
            self._closed = True
            self.outcome = outcome.FAILED
            self.outbox.fail(self._failure(end))
            return
        measured = timings_of(end.timings, self._facts.tokenize_seconds, seconds)
        shared = self._facts.shared_prompt
        self.outbox.complete(stream_pb2.Completed(usage=self.usage, timings=measured, shared_prompt=shared))
        self._closed = True
        self.outcome = outcome.COMPLETED

    def _break(self, error: Exception) -> None:
        """A fault of ours: the caller gets an error, and the operator's log has the reason."""
        log.error(
            "a call has failed", exc_info=error, extra={"fields": {"request_id": self._facts.origin.ids.request_id}}
        )
        self.fail(ChasquiError("The server failed; the operator's log says why."))

    def _failure(self, end: End) -> ChasquiError:
        if end.grammar_lost:
            param = self._form.grammar_param
            return UnsupportedParameter(f"{param}: the schema became too complex to enforce.", param=param)
        return EngineFailed(f"The engine failed: {end.error}")

    def _cancel(self) -> None:
        if self._recorded:
            return
        if self._run.submitted:
            self._run.cancel()
        else:
            self._run.withdraw()
            self.end(End(0, 0, 0, EngineTimings()))

    def _record(self, end: End, seconds: float) -> None:
        """The one place where the usage of a call is recorded, on every way to its end."""
        self._recorded = True
        for timer in (self._deadline, self._latest_start):
            if timer is not None:
                timer.cancel()
        self._run.end()
        self._on_end(
            UsageRecord(
                facts=self._facts,
                outcome=self.outcome,
                error=end.error,
                finish_reasons=[choice.finish_reason for choice in self._choices if choice.finish_reason is not None],
                usage=self.usage,
                cost=self._cost,
                timings=end.timings,
                seconds=seconds,
                output=["".join(choice.output) for choice in self._choices] if self._keeps_output else [],
            )
        )
