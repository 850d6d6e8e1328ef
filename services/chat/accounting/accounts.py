"""Accounts for settled calls: to the log, to metrics, and to the call's trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.chat.accounting.call_metrics import CallMetrics
from services.chat.accounting.call_spans import CallSpans, request_attributes
from services.chat.accounting.settlement import log_settlement
from services.telemetry.spans import child_of
from services.telemetry.tracing import trace_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import SpanContext

    from chasqui.v1.chat_service_pb2 import ChatRequest
    from services.chat.accounting.settlement import Settlement
    from services.telemetry.spans import Spans


@dataclass(frozen=True, slots=True)
class CallTrace:
    """A call's place in its trace: the span of its RPC, and its own below it if that is recorded."""

    parent: SpanContext
    context: SpanContext | None

    @property
    def headers(self) -> Mapping[str, str]:
        """What lets an engine continue the trace."""
        return trace_headers(self.context or self.parent)


class Accounts:
    """One for all calls of a server."""

    def __init__(self, spans: Spans, model: str, *, traces_content: bool) -> None:
        """`model` is the served model's name.

        With `traces_content` spans carry what was said, which they else never do.
        """
        self._metrics = CallMetrics(model)
        self._spans = spans
        self._call_spans = CallSpans(spans)
        self._traces_content = traces_content

    def trace(self, parent: SpanContext) -> CallTrace:
        """The place of a call whose RPC has the span `parent`."""
        return CallTrace(parent, child_of(parent) if self._spans.records(parent) else None)

    def asked(self, request: ChatRequest, place: CallTrace, *, streamed: bool) -> Mapping[str, object]:
        """What the call's span will say of the request; nothing if there will be none."""
        if place.context is None:
            return {}
        return request_attributes(request, streamed=streamed, content=self._traces_content)

    def traces_output(self, place: CallTrace) -> bool:
        """Whether the answer's text has to be kept for the call's span."""
        return self._traces_content and place.context is not None

    def free(self, seconds: float) -> None:
        """Tell how long a cancelled call kept its place in the engine."""
        self._metrics.record_release(seconds)

    def settle(self, settlement: Settlement, place: CallTrace) -> None:
        """Tell of a call, once."""
        log_settlement(settlement)
        self._metrics.record(settlement, place.context or place.parent)
        if place.context is not None:
            self._call_spans.write(settlement, place.context, place.parent)
