"""OpenTelemetry tracing, configured by the standard `OTEL_*` variables, and the W3C trace context headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.telemetry.otlp import exported
from services.telemetry.resource import resource_of
from services.telemetry.spans import Spans, untraced

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import SpanContext

    from services.settings import Settings

_PROPAGATOR: Final = TraceContextTextMapPropagator()


def configure_tracing(process: str, settings: Settings) -> Spans:
    """The spans of the process named `process`.

    They are exported over OTLP/gRPC when an `OTEL_EXPORTER_OTLP_*ENDPOINT` is set, sampled by `OTEL_TRACES_SAMPLER`.
    """
    if not exported("TRACES"):
        return untraced()
    from services.telemetry.span_exporter import SpanExporter  # heavy, rarely needed

    # The provider reads the sampler's variables.
    sampler = TracerProvider(shutdown_on_exit=False).sampler
    return Spans(sampler, resource_of(process, settings), BatchSpanProcessor(SpanExporter()))


def remote_parent(carrier: Mapping[str, str]) -> Context:
    """The context that a caller's `traceparent` and `tracestate` continue; empty if they are absent or malformed."""
    return _PROPAGATOR.extract(carrier)


def trace_headers(context: SpanContext) -> dict[str, str]:
    """A span as `traceparent` and `tracestate` headers for the next service."""
    headers = {"traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"}
    if context.trace_state:
        headers["tracestate"] = context.trace_state.to_header()
    return headers
