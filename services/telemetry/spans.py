"""Spans that are recorded at their end: an open one is only a name, ids and a start time.

The phases of a call become spans at its end, from times that were measured anyway. OpenTelemetry's tracer keeps a
live object per open span, at twice the cost.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

import services

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Event, SpanProcessor
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.util.types import Attributes, AttributeValue

_SCOPE: Final = InstrumentationScope("chasqui", services.__version__)
_IDS: Final = RandomIdGenerator()
UNSET: Final = Status(StatusCode.UNSET)


@dataclass(slots=True)
class BegunSpan:
    """The open span of a request. Its name and attributes may change until `end`."""

    name: str
    context: SpanContext
    parent: SpanContext | None
    start: int  # nanoseconds since 1970
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    status: Status = UNSET


class Spans:
    """Samples spans and passes them to a processor, as a tracer does."""

    def __init__(self, sampler: Sampler, resource: Resource, processor: SpanProcessor | None) -> None:
        self._sampler = sampler
        self._resource = resource
        self._processor = processor

    def begin(self, name: str, remote: Context) -> BegunSpan:
        """The span of a request that arrives with the `remote` context.

        It has ids even if it is not sampled. Without a processor it keeps the ids of the caller's span, so that the
        next service continues the caller's trace.
        """
        given = trace.get_current_span(remote).get_span_context()
        parent = given if given.is_valid else None
        if parent is not None and self._processor is None:
            return BegunSpan(name, parent, None, time.time_ns())
        trace_id = _IDS.generate_trace_id() if parent is None else parent.trace_id
        sampled = self._sampler.should_sample(remote, trace_id, name, SpanKind.SERVER)
        is_sampled = sampled.decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT
        if parent is None or parent.trace_flags.random_trace_id:
            flags |= TraceFlags.RANDOM_TRACE_ID
        context = SpanContext(trace_id, _IDS.generate_span_id(), False, TraceFlags(flags), sampled.trace_state)
        return BegunSpan(name, context, parent, time.time_ns())

    def records(self, context: SpanContext) -> bool:
        """Whether the span of `context` and its children are recorded."""
        return self._processor is not None and context.trace_flags.sampled

    def end(self, span: BegunSpan) -> None:
        """Record the span of a request that ends now."""
        end = time.time_ns()
        self._write(
            span.name, span.context, span.parent, SpanKind.SERVER, span.start, end, span.attributes, (), span.status
        )

    def add(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext,
        *,
        start: int,
        end: int,
        attributes: Attributes = None,
        events: Sequence[Event] = (),
        status: Status = UNSET,
    ) -> None:
        """Record an internal span between two times, in nanoseconds since 1970."""
        self._write(name, context, parent, SpanKind.INTERNAL, start, end, attributes, events, status)

    def _write(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        start: int,
        end: int,
        attributes: Attributes,
        events: Sequence[Event],
        status: Status,
    ) -> None:
        if self._processor is not None and context.trace_flags.sampled:
            span = ReadableSpan(
                name,
                context,
                parent,
                self._resource,
                attributes,
                events,
                kind=kind,
                instrumentation_scope=_SCOPE,
                status=status,
                start_time=start,
                end_time=end,
            )
            self._processor.on_end(span)

    def shutdown(self) -> None:
        """Export the remaining spans; blocks for a few seconds at most."""
        if self._processor is not None:
            self._processor.shutdown()


def untraced() -> Spans:
    """Spans that are not exported: requests still have ids, for logs and for services that continue the trace."""
    return Spans(ALWAYS_OFF, Resource.get_empty(), None)


def child_of(parent: SpanContext) -> SpanContext:
    """The context of a new span of the same trace, with the same sampling decision."""
    return SpanContext(parent.trace_id, _IDS.generate_span_id(), False, parent.trace_flags, parent.trace_state)
