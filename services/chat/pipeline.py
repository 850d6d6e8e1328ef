"""What every chat call passes on its way to the engine: validation, admission, input processing, the queue."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from chasqui.v1 import chat_pb2
from services.chat.accounting.call_facts import CallFacts, ServedModel, lost_origin, origin_of
from services.chat.accounting.call_spans import operation_of
from services.chat.answer.call import ChatCall
from services.chat.answer.form import form_of
from services.chat.answer.kept_tokens import KeptTokens
from services.chat.request.generation import generation_of
from services.chat.request.tier import tier_of
from services.chat.scheduling.call_time import CallTime
from services.errors import DeadlineExceeded
from services.service_tier import ServiceTier

if TYPE_CHECKING:
    from datetime import datetime

    from chasqui.v1.chat_service_pb2 import ChatRequest
    from chasqui.v1.stream_pb2 import Started
    from services.accounts.keys.caller import Caller
    from services.accounts.limiting.limiter import Allowance, Limiter
    from services.chat.accounting.call_facts import CallOrigin
    from services.chat.accounting.recorder import CallRecorder
    from services.chat.accounting.usage_record import UsageRecord
    from services.chat.answer.form import AnswerForm
    from services.chat.answer.outbox import Outbox
    from services.chat.request.catalogue import Catalogue
    from services.chat.request.input_processor import Input, InputProcessor
    from services.chat.scheduling.admission import Admission, Reservation
    from services.engine.api import Engine, Generation
    from services.errors import ChasquiError
    from services.settings import Settings
    from services.telemetry.call import CallContext

_EXPIRED: Final = "The deadline of the call passed before the answer was complete."


@dataclass(frozen=True, slots=True)
class _Ready:
    """A call that may be queued: its request, what was made of it, and what it holds of slots and limits."""

    request: ChatRequest
    processed: Input
    facts: CallFacts
    max_tokens: int  # of each choice
    reservation: Reservation
    allowance: Allowance


class ChatPipeline:
    """Accepts calls and submits them to the engine."""

    def __init__(
        self,
        engine: Engine,
        catalogue: Catalogue,
        admission: Admission,
        limiter: Limiter,
        inputs: InputProcessor,
        recorder: CallRecorder,
        settings: Settings,
    ) -> None:
        self._engine = engine
        self._catalogue = catalogue
        self._admission = admission
        self._limiter = limiter
        self._inputs = inputs
        self._recorder = recorder
        self._settings = settings
        self._calls = WeakSet[ChatCall]()  # their callers and the engine hold them

    def fail_all(self, error: ChasquiError) -> None:
        """End every queued and running call with an error for its caller; calls that have ended are unaffected."""
        for call in list(self._calls):
            call.fail(error)

    async def start(
        self, request: ChatRequest, context: CallContext, outbox: Outbox, *, caller: Caller, remaining: float | None
    ) -> ChatCall:
        """Accept a call, which fills `outbox` and is submitted when the engine is free for it.

        `remaining` are the seconds to its deadline, None without one. Raises the ChasquiError that refuses the call.
        The caller must close() the returned call.
        """
        clock = CallTime(remaining)
        origin = origin_of(request, context, caller)
        tier, model = self._permitted(request, origin, caller)
        self._inputs.check_size(request)
        n = request.n if request.HasField("n") else 1
        reservation = self._admission.reserve(caller.account, n, tier, weight=caller.weight)
        allowance = None
        try:
            allowance = await self._limiter.admit(caller)
            self._recorder.begin(origin, model)
            processed = await self._processed(request, caller.identity, clock)
            max_tokens = self._max_tokens(request, len(processed.prompt))
            await allowance.reserve(len(processed.prompt), reservation.n * max_tokens, model.price)
            facts = CallFacts(
                origin=origin,
                model=model,
                operation=operation_of(request),
                n=reservation.n,
                tier=tier,
                received=clock.received,
                tokenize_seconds=clock.elapsed,
                limits=allowance.standing,
                shared_prompt=processed.shared,
            )
            call = self._queue(
                _Ready(request, processed, facts, max_tokens, reservation, allowance), context, outbox, clock
            )
        except BaseException as error:
            self._admission.release(reservation)
            if allowance is not None:
                allowance.settle()
            self._recorder.record_refusal(origin, model, error, clock.elapsed)
            raise
        context.accepted = True
        return call

    def record_lost(self, started: Started, completion_tokens: int, caller: Caller) -> None:
        """Record in the ledger a call that a server before this one was running when it died.

        The caller pays for what was delivered and for the prompt, of which nothing is known to have been cached; for
        nothing if nothing was delivered.
        """
        if not completion_tokens:
            return
        tier = tier_of(started.service_tier)
        origin = lost_origin(started, caller)
        price = self._catalogue.prices.at(origin.arrived)[tier]
        model = ServedModel(started.model, started.system_fingerprint, price, started.model)
        usage = chat_pb2.Usage(prompt_tokens=started.prompt_tokens, completion_tokens=completion_tokens)
        self._recorder.record_lost(origin, model, usage)

    def _permitted(self, request: ChatRequest, origin: CallOrigin, caller: Caller) -> tuple[ServiceTier, ServedModel]:
        """The tier and the model of a call; raises the refusal of a caller who may not use one or the endpoint."""
        caller.check_endpoint(origin.endpoint)
        tier = tier_of(request.service_tier)
        caller.check_tier(tier)
        model = self._served(request, tier, origin.arrived)
        caller.check_model(request.model, model.name)
        return tier, model

    async def _processed(self, request: ChatRequest, caller: str, clock: CallTime) -> Input:
        if clock.limit is None:
            return await self._inputs.process(request, caller)
        try:
            async with asyncio.timeout(clock.limit):
                return await self._inputs.process(request, caller)
        except TimeoutError:
            raise DeadlineExceeded(_EXPIRED) from None

    def _queue(self, ready: _Ready, context: CallContext, outbox: Outbox, clock: CallTime) -> ChatCall:
        """Queue a call whose input is ready; it may reach the engine at once."""
        # `on_end` holds none of `ready`, of which the request may be megabytes.
        request, processed, reservation, allowance = ready.request, ready.processed, ready.reservation, ready.allowance
        form = self._form(request, processed, reservation.n)
        trace = self._recorder.trace(request, context.span, streamed=outbox.streamed)

        def on_end(record: UsageRecord) -> None:
            self._admission.release(reservation)
            allowance.settle(record.usage.total_tokens, record.cost)
            self._recorder.record(record, trace)

        call = ChatCall(
            ready.facts,
            form,
            self._engine.tokenizer,
            outbox,
            on_end=on_end,
            on_released=self._recorder.record_release,
            keeps_output=trace.keeps_output,
        )
        self._calls.add(call)
        left = clock.left
        if ready.max_tokens == 0 and not form.scores_prompt:
            call.end_empty(len(processed.prompt))
        else:
            generation = generation_of(request, processed, ready.max_tokens, reservation.n, trace.headers)
            self._submit(call, generation, reservation, left)
            if left is not None:
                call.expire_after(left, DeadlineExceeded(_EXPIRED))
        return call

    def _submit(
        self, call: ChatCall, generation: Generation, reservation: Reservation, remaining: float | None
    ) -> None:
        """Queue a call for the engine. A flex call is accepted when the engine takes it: before, it may be refused."""
        prompt, tokens = len(generation.prompt), len(generation.prompt) + generation.max_tokens
        if reservation.tier is not ServiceTier.FLEX:
            self._admission.queue(
                reservation,
                tokens,
                lambda: call.submit(lambda: self._engine.submit(generation, call)),
                remaining=remaining,
            )
            call.accept(prompt)
            return
        kept = KeptTokens(generation, call)

        def start() -> None:
            call.accept(prompt)
            call.submit(lambda: self._engine.submit(kept.generation, kept))

        def limit_wait() -> None:
            call.start_within(self._settings.flex_wait, lambda: self._admission.flex_unavailable(reservation))

        def queue_again() -> None:
            self._admission.queue_again(reservation)
            limit_wait()

        self._admission.queue(
            reservation,
            tokens,
            start,
            remaining=remaining,
            preempt=lambda: call.preempt(kept, queue_again),
            streamed=call.outbox.streamed,
        )
        limit_wait()

    def _served(self, request: ChatRequest, tier: ServiceTier, arrived: datetime) -> ServedModel:
        """The model that the request names, with the tier's price at its arrival; ModelNotFound if there is none."""
        self._catalogue.check(request.model)
        model = self._engine.model
        price = self._catalogue.prices.at(arrived)[tier]
        return ServedModel(model.name, model.fingerprint, price, request.model)

    def _form(self, request: ChatRequest, processed: Input, n: int) -> AnswerForm:
        grammar_param = None if processed.grammar is None else processed.grammar.param
        return form_of(request, n, len(processed.prompt), processed.echo, grammar_param, self._inputs.tool_syntax)

    def _max_tokens(self, request: ChatRequest, prompt_tokens: int) -> int:
        """The limit of each choice: what was asked for or the default, clamped to what the context leaves."""
        context_length = self._engine.capabilities.context_length
        if prompt_tokens >= context_length:
            raise self._inputs.too_long(request, str(prompt_tokens))
        wanted = request.max_tokens if request.HasField("max_tokens") else self._settings.default_max_tokens
        return min(wanted, context_length - prompt_tokens)
