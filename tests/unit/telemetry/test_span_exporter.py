"""Spans leave in the very form that OpenTelemetry's own encoding gives them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from services.telemetry.span_exporter import encoded

RESOURCE = Resource({"service.name": "chasqui-server"}, "https://opentelemetry.io/schemas/1.0.0")
INT64 = st.integers(-(2**63), 2**63 - 1)
SCALARS = (st.text(), st.booleans(), INT64, st.floats(allow_nan=False))
ATTRIBUTES = st.none() | st.dictionaries(st.text(min_size=1), st.one_of(*SCALARS, *map(st.lists, SCALARS)), max_size=4)
TIMES = st.integers(0, 2**64 - 1)
CONTEXTS = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.sampled_from([TraceFlags(0), TraceFlags(1)]),
    st.sampled_from([TraceState(), TraceState([("vendor", "a"), ("other", "b=c")])]),
)
STATUSES = st.just(Status()) | st.builds(Status, st.just(StatusCode.ERROR), st.none() | st.text())
SPANS = st.builds(
    ReadableSpan,
    name=st.text(),
    context=CONTEXTS,
    parent=st.none() | CONTEXTS,
    resource=st.just(RESOURCE),
    attributes=ATTRIBUTES,
    events=st.lists(st.builds(Event, name=st.text(), attributes=ATTRIBUTES, timestamp=TIMES), max_size=2),
    kind=st.sampled_from(SpanKind),
    instrumentation_scope=st.sampled_from([InstrumentationScope("chasqui", "1.0"), InstrumentationScope("other")]),
    status=STATUSES,
    start_time=TIMES,
    end_time=TIMES,
)


@given(st.lists(SPANS, min_size=1, max_size=6))
def test_the_encoding_is_that_of_the_package(spans: list[ReadableSpan]) -> None:
    assert encoded(spans) == encode_spans(spans)
