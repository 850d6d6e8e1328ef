"""Spans that are written down after the fact, from times that were measured anyway.

A call's phases become spans when it has ended: nothing is begun, held or ended while it runs. They skip the tracer,
which has no part in them but costs as much again; whether they are written is their parent's sampling decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode

import services

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, SpanProcessor
    from opentelemetry.util.types import Attributes

_SCOPE: Final = InstrumentationScope("chasqui", services.__version__)
_IDS: Final = RandomIdGenerator()
_UNSET: Final = Status(StatusCode.UNSET)


class FinishedSpans:
    """Hands spans to a processor, as a tracer's would be."""

    def __init__(self, processor: SpanProcessor, resource: Resource) -> None:
        self._processor = processor
        self._resource = resource

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
        status: Status = _UNSET,
    ) -> None:
        """A span of our own work between two times, in nanoseconds since 1970."""
        span = ReadableSpan(
            name,
            context,
            parent,
            self._resource,
            attributes,
            events,
            kind=SpanKind.INTERNAL,
            instrumentation_scope=_SCOPE,
            status=status,
            start_time=start,
            end_time=end,
        )
        self._processor.on_end(span)


def child_of(parent: SpanContext) -> SpanContext:
    """The context of a new span of the same trace, with the same sampling decision."""
    return SpanContext(parent.trace_id, _IDS.generate_span_id(), False, parent.trace_flags, parent.trace_state)
