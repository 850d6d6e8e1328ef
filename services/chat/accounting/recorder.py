"""Records calls that have ended: in the log, in metrics, and in their traces."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from services.accounts.ledger.entry import LOST
from services.chat.accounting.call_metrics import CallMetrics
from services.chat.accounting.call_spans import EndedCall, request_attributes
from services.chat.accounting.ledger_entries import entry
from services.chat.accounting.usage_record import log_usage
from services.errors import ChasquiError, RateLimitExceeded
from services.telemetry import outcome
from services.telemetry.spans import child_of
from services.telemetry.tracing import trace_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import SpanContext

    from chasqui.v1 import chat_pb2
    from chasqui.v1.chat_service_pb2 import ChatRequest
    from services.accounts.api import Accounts
    from services.chat.accounting.call_facts import CallOrigin, ServedModel
    from services.chat.accounting.usage_record import UsageRecord
    from services.telemetry.spans import Attributes, Spans


@dataclass(frozen=True, slots=True)
class CallTrace:
    """The span of a call's RPC and, if the trace is recorded, the call's own below it."""

    parent: SpanContext
    context: SpanContext | None
    request: Attributes  # of the call's own span
    keeps_output: bool  # whether the span is to carry the text of the answer

    @property
    def headers(self) -> Mapping[str, str]:
        """The W3C headers with which an engine continues the trace."""
        return trace_headers(self.context or self.parent)


class CallRecorder:
    """Records all calls of a server."""

    def __init__(self, spans: Spans, model: str, accounts: Accounts | None, *, traces_content: bool) -> None:
        """`model` is the served model's name; `accounts` have the ledger, if there is one.

        With `traces_content` spans carry prompts and answers, which they otherwise never do.
        """
        self._metrics = CallMetrics(model, tuple if accounts is None else accounts.owners)
        self._ledger = None if accounts is None else accounts.ledger
        self._spans = spans
        self._traces_content = traces_content

    def trace(self, request: ChatRequest, parent: SpanContext, *, streamed: bool) -> CallTrace:
        """The trace of a call whose RPC has the span `parent`."""
        if not self._spans.records(parent):
            return CallTrace(parent, None, {}, keeps_output=False)
        attributes = request_attributes(request, streamed=streamed, content=self._traces_content)
        return CallTrace(parent, child_of(parent), attributes, keeps_output=self._traces_content)

    def record_release(self, seconds: float) -> None:
        """Count how long a cancelled call still occupied the engine."""
        self._metrics.record_release(seconds)

    def begin(self, origin: CallOrigin, model: ServedModel) -> None:
        """Note in the ledger that a call was admitted: its row, with nothing delivered, if this server dies."""
        if self._ledger is not None:
            self._ledger.begin(entry(origin, model, LOST, 0.0))

    def record_refusal(self, origin: CallOrigin, model: ServedModel, error: BaseException, seconds: float) -> None:
        """Record in the ledger that a call was admitted, but ended with `error` before it was queued."""
        if self._ledger is None:
            return
        if isinstance(error, RateLimitExceeded):  # those who send too much do not fill the ledger
            self._ledger.forget(origin.ids.chat_id)
        else:
            self._ledger.record(entry(origin, model, _outcome(error), seconds))

    def record_lost(self, origin: CallOrigin, model: ServedModel, usage: chat_pb2.Usage) -> None:
        """Record in the ledger a call whose server died; a record of that server's own replaces this one."""
        if self._ledger is not None:
            seconds = (datetime.now(UTC) - origin.arrived).total_seconds()
            cost = model.price.cost(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
            self._ledger.record(entry(origin, model, LOST, seconds, usage, cost))

    def record(self, record: UsageRecord, trace: CallTrace) -> None:
        """Record a call; once per call."""
        if self._ledger is not None:  # first: what anyone can see of the call, the ledger has
            facts, queue = record.facts, record.timings.queue
            seconds, usage, cost = record.seconds, record.usage, record.cost
            self._ledger.record(entry(facts.origin, facts.model, record.outcome, seconds, usage, cost, queue))
        log_usage(record)
        self._metrics.record(record, trace.context or trace.parent)
        if trace.context is not None:
            self._spans.record(EndedCall(record, trace.request, trace.context, trace.parent, time.time_ns()))


def _outcome(error: BaseException) -> str:
    if isinstance(error, ChasquiError):
        return outcome.outcome_of(error)
    return outcome.CANCELLED if isinstance(error, asyncio.CancelledError) else outcome.FAILED
