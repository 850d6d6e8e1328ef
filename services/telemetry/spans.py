"""Spans that are recorded at their end, as one object for all of a request or call.

An open span is only a name, ids and a start time. What is exported of it, the phases of a call among them, is put
together in the exporter's thread: there it happens for hundreds in a row, which takes a fifth of the time that it takes
between the steps of a call. OpenTelemetry's tracer keeps a live object per open span, at several times the cost.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.trace import TraceState
    from opentelemetry.util.types import AttributeValue

    Attributes = Mapping[str, AttributeValue]

UNSET: Final = Status(StatusCode.UNSET)
_IDS: Final = RandomIdGenerator()
_FLAGS: Final = tuple(map(TraceFlags, range(4)))
_NOTHING: Final[Attributes] = {}


class SpanEvent(NamedTuple):
    """An event of a span; `time` is in nanoseconds since 1970."""

    name: str
    time: int
    attributes: Attributes = _NOTHING


class SpanData(NamedTuple):
    """A span as it is exported; its trace is that of its record. Times are in nanoseconds since 1970."""

    span_id: int
    parent_id: int  # 0 if it has no parent
    name: str
    start: int
    end: int
    attributes: Attributes = _NOTHING
    events: Sequence[SpanEvent] = ()
    status: Status = UNSET
    kind: SpanKind = SpanKind.INTERNAL
    has_remote_parent: bool = False


class SpanRecord(Protocol):
    """Spans of a trace that have ended together."""

    @property
    def context(self) -> SpanContext:
        """That of the first of them; the others share its trace."""

    def spans(self) -> Iterable[SpanData]:
        """All of them; called once, in the exporter's thread."""


@dataclass(slots=True)
class RequestSpan:
    """The span of a request. Its name, attributes and status may change until it is ended."""

    name: str
    context: SpanContext
    parent: SpanContext | None
    start: int  # nanoseconds since 1970
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    status: Status = UNSET
    end: int = 0

    def spans(self) -> Iterable[SpanData]:
        """The span itself."""
        parent = self.parent
        span_id, parent_id = self.context.span_id, 0 if parent is None else parent.span_id
        data = (span_id, parent_id, self.name, self.start, self.end, self.attributes, (), self.status, SpanKind.SERVER)
        return (SpanData(*data, has_remote_parent=parent is not None and parent.is_remote),)


class Spans:
    """Samples spans and passes them to a processor, as a tracer does."""

    def __init__(self, sampler: Sampler, processor: SpanProcessor | None, *, follows_parents: bool = False) -> None:
        """`follows_parents` says that `sampler` samples a span with a parent if, and only if, that is sampled."""
        self._sampler = sampler
        self._processor = processor
        self._follows_parents = follows_parents

    def begin(self, name: str, parent: SpanContext | None) -> RequestSpan:
        """The span of a request; `parent` is the span that its caller has sent with it.

        It has ids even if it is not sampled. Without a processor it keeps the ids of the caller's span, so that the
        next service continues the caller's trace.
        """
        if parent is not None and self._processor is None:
            return RequestSpan(name, parent, None, time.time_ns())
        trace_id = _IDS.generate_trace_id() if parent is None else parent.trace_id
        is_sampled, state = self._decide(name, trace_id, parent)
        flags = TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT
        if parent is None or parent.trace_flags.random_trace_id:
            flags |= TraceFlags.RANDOM_TRACE_ID
        context = SpanContext(trace_id, _IDS.generate_span_id(), False, _FLAGS[flags], state)
        return RequestSpan(name, context, parent, time.time_ns())

    def _decide(self, name: str, trace_id: int, parent: SpanContext | None) -> tuple[bool, TraceState | None]:
        """Whether to sample a span, and the state of its trace."""
        if parent is None:
            context = Context()
        elif self._follows_parents:
            return parent.trace_flags.sampled, parent.trace_state
        else:
            context = trace.set_span_in_context(NonRecordingSpan(parent), Context())
        sampled = self._sampler.should_sample(context, trace_id, name, SpanKind.SERVER)
        return sampled.decision is Decision.RECORD_AND_SAMPLE, sampled.trace_state

    def records(self, context: SpanContext) -> bool:
        """Whether the span of `context` and its children are recorded."""
        return self._processor is not None and context.trace_flags.sampled

    def end(self, span: RequestSpan) -> None:
        """Record the span of a request that ends now."""
        span.end = time.time_ns()
        self.record(span)

    def record(self, record: SpanRecord) -> None:
        """Have spans exported, if their trace is sampled."""
        if self._processor is not None:
            # The processor reads nothing but the context, and passes the record to the exporter.
            self._processor.on_end(cast("ReadableSpan", record))

    def shutdown(self) -> None:
        """Export the remaining spans; blocks for a few seconds at most."""
        if self._processor is not None:
            self._processor.shutdown()


def untraced() -> Spans:
    """Spans that are not exported: requests still have ids, for logs and for services that continue the trace."""
    return Spans(ALWAYS_OFF, None)


def new_span_id() -> int:
    """The id of a span that has no context of its own, as nothing continues it."""
    return _IDS.generate_span_id()


def child_of(parent: SpanContext) -> SpanContext:
    """The context of a new span of the same trace, with the same sampling decision."""
    return SpanContext(parent.trace_id, _IDS.generate_span_id(), False, parent.trace_flags, parent.trace_state)
