"""Spans leave in the very form that OpenTelemetry's own encoding gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

import services
from services.telemetry.span_exporter import MOST_SPANS, Encoder, SpanExporter
from services.telemetry.spans import SpanData, SpanEvent
from tests.support.otlp_receiver import OtlpReceiver

if TYPE_CHECKING:
    import pytest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

RESOURCE = Resource({"service.name": "chasqui-server"}, "https://opentelemetry.io/schemas/1.0.0")
SCOPE = InstrumentationScope("chasqui", services.__version__)
ENCODER = Encoder(RESOURCE)
INT64 = st.integers(-(2**63), 2**63 - 1)
SCALARS = (st.text(), st.booleans(), INT64, st.floats(allow_nan=False))
ATTRIBUTES = st.dictionaries(st.text(min_size=1), st.one_of(*SCALARS, *map(st.lists, SCALARS)), max_size=4)
TIMES = st.integers(0, 2**64 - 1)
SPAN_IDS = st.integers(1, 2**64 - 1)
CONTEXTS = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    SPAN_IDS,
    st.just(False),
    st.sampled_from([TraceFlags(0), TraceFlags(1)]),
    st.sampled_from([TraceState(), TraceState([("vendor", "a"), ("other", "b=c")])]),
)
SPANS = st.builds(
    SpanData,
    span_id=SPAN_IDS,
    parent_id=st.just(0) | SPAN_IDS,
    name=st.text(),
    start=TIMES,
    end=TIMES,
    attributes=ATTRIBUTES,
    events=st.lists(st.builds(SpanEvent, name=st.text(), time=TIMES, attributes=ATTRIBUTES), max_size=2),
    status=st.just(Status()) | st.builds(Status, st.just(StatusCode.ERROR), st.none() | st.text()),
    kind=st.sampled_from(SpanKind),
    has_remote_parent=st.booleans(),
).map(lambda span: span if span.parent_id else span._replace(has_remote_parent=False))


class Record:
    """Spans of a trace."""

    def __init__(self, context: SpanContext, spans: list[SpanData]) -> None:
        self.context = context
        self._spans = spans

    def spans(self) -> list[SpanData]:
        return self._spans


def readable(context: SpanContext, span: SpanData) -> ReadableSpan:
    """The span in OpenTelemetry's own form."""

    def context_of(span_id: int, is_remote: bool) -> SpanContext:
        return SpanContext(context.trace_id, span_id, is_remote, context.trace_flags, context.trace_state)

    return ReadableSpan(
        span.name,
        context_of(span.span_id, False),
        context_of(span.parent_id, span.has_remote_parent) if span.parent_id else None,
        RESOURCE,
        span.attributes,
        [Event(event.name, event.attributes, event.time) for event in span.events],
        kind=span.kind,
        instrumentation_scope=SCOPE,
        status=span.status,
        start_time=span.start,
        end_time=span.end,
    )


def unordered(request: ExportTraceServiceRequest) -> bytes:
    """The message with the attributes of every span sorted by key: their order means nothing."""
    for span in request.resource_spans[0].scope_spans[0].spans:
        span.attributes.sort(key=lambda attribute: attribute.key)
    return request.SerializeToString()


@given(st.lists(st.builds(Record, CONTEXTS, st.lists(SPANS, min_size=1, max_size=3)), min_size=1, max_size=3))
def test_the_encoding_is_that_of_the_package(records: list[Record]) -> None:
    expected = encode_spans([readable(record.context, span) for record in records for span in record.spans()])
    [message] = ENCODER.messages(records)
    assert unordered(message.request) == unordered(expected)
    assert len(message) == len(expected.resource_spans[0].scope_spans[0].spans)


def test_values_that_python_takes_for_equal_are_encoded_as_what_they_are() -> None:
    context = SpanContext(1, 1, False, TraceFlags(1))
    for value in (0, False, 0.0, -0.0, 1.0, True, 1):
        span = SpanData(1, 0, "x", 0, 1, {"key": value})
        [message] = ENCODER.messages([Record(context, [span])])
        assert message.request.SerializeToString() == encode_spans([readable(context, span)]).SerializeToString(), value


def test_a_message_has_no_more_spans_than_a_batch_whatever_a_record_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = range(1, MOST_SPANS + 1)
    spans = [SpanData(span_id, 0, "x", 0, 1) for span_id in (1, 2, 3)]
    records = [Record(SpanContext(number, 1, False, TraceFlags(1)), spans) for number in numbers]
    with OtlpReceiver() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        exporter = SpanExporter(RESOURCE)
        assert exporter.export(cast("list[ReadableSpan]", records)) is SpanExportResult.SUCCESS
        exporter.shutdown()
    assert collector.sizes == [MOST_SPANS] * 3
    assert {span.trace_id for span in collector.spans} == {trace.format_trace_id(number) for number in numbers}
