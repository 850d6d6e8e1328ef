"""Which trace a request continues and whether it is sampled: as OpenTelemetry's propagator and samplers decide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.settings import Settings
from services.telemetry.tracing import configure_tracing, remote_parent

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
ODD = st.from_regex(r"[ \t]?(0[01]|ff|cc)-(0{32}|[0-9a-f]{32}|[0-9A-F]{32})-(0{16}|[0-9a-f]{16})-[0-9a-f]{2}(-|-a)?\s?")
HEADERS = st.sampled_from([PARENT, PARENT[:-2] + "ff"]) | ODD | st.text()
STATES = st.sampled_from(["", "vendor=a,other=b", "vendor=a,vendor=b", "=", "a" * 600 + "=b"])


@given(HEADERS, st.none() | STATES)
def test_a_caller_s_headers_are_read_as_the_propagator_reads_them(parent: str, state: str | None) -> None:
    carrier = {"traceparent": parent} | ({} if state is None else {"tracestate": state})
    expected = trace.get_current_span(TraceContextTextMapPropagator().extract(carrier)).get_span_context()
    assert remote_parent(carrier) == (expected if expected.is_valid else None)


@pytest.mark.parametrize("flags", ["00", "01", "03"])
@pytest.mark.parametrize("prefix", ["", "parentbased_"])
@pytest.mark.parametrize("sampler", ["always_on", "always_off", "traceidratio"])
def test_a_caller_decides_what_is_sampled_where_the_sampler_lets_him(
    sampler: str, prefix: str, flags: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", prefix + sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    spans = configure_tracing("server", Settings())
    try:
        parent = remote_parent({"traceparent": f"00-{TRACE}-b7ad6b7169203331-{flags}"})
        sampled = spans.begin("x", parent).context.trace_flags.sampled
    finally:
        spans.shutdown()
    assert sampled == (flags != "00" if prefix else sampler == "always_on")
