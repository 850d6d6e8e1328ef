"""Spans: a begun one is a name, ids and a time; all are written down when they are over.

A call's phases become spans after the fact, from times that were measured anyway: nothing is held or ended while it
runs. OpenTelemetry's tracer would hold a live span for what only needs its end, and cost as much again for each.
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
    """A request that is being served. Its name and attributes may change until it ends."""

    name: str
    context: SpanContext
    parent: SpanContext | None
    start: int  # nanoseconds since 1970
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    status: Status = UNSET


class Spans:
    """Decides what is traced, and hands it to a processor, as a tracer would."""

    def __init__(self, sampler: Sampler, resource: Resource, processor: SpanProcessor | None) -> None:
        self._sampler = sampler
        self._resource = resource
        self._processor = processor

    def begin(self, name: str, remote: Context) -> BegunSpan:
        """A request that comes with the `remote` context.

        It has ids even if it is not traced. Where nothing is, it stands for its caller's span, which whoever comes next
        continues.
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
        """Whether that span, and what is below it, will be written down."""
        return self._processor is not None and context.trace_flags.sampled

    def end(self, span: BegunSpan) -> None:
        """Write a request down, which ends now."""
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
        """A span of our own work between two times, in nanoseconds since 1970."""
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
        """Export what is left, for a few seconds at most; blocks."""
        if self._processor is not None:
            self._processor.shutdown()


def untraced() -> Spans:
    """Spans that nobody will see: requests have their ids, for logs and for whoever continues the trace."""
    return Spans(ALWAYS_OFF, Resource.get_empty(), None)


def child_of(parent: SpanContext) -> SpanContext:
    """The context of a new span of the same trace, with the same sampling decision."""
    return SpanContext(parent.trace_id, _IDS.generate_span_id(), False, parent.trace_flags, parent.trace_state)
