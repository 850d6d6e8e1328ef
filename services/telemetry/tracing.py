"""OpenTelemetry tracing, configured by the standard `OTEL_*` variables, and the W3C trace context headers."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.sdk.environment_variables import OTEL_TRACES_SAMPLER
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.telemetry.otlp import exported
from services.telemetry.resource import resource_of
from services.telemetry.spans import Spans, untraced

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.settings import Settings

_PROPAGATOR: Final = TraceContextTextMapPropagator()
# The only version of the header that exists.
_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_PARENT_BASED: Final = ("parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio")


def configure_tracing(process: str, settings: Settings) -> Spans:
    """The spans of the process named `process`.

    They are exported over OTLP/gRPC when an `OTEL_EXPORTER_OTLP_*ENDPOINT` is set, sampled by `OTEL_TRACES_SAMPLER`.
    """
    if not exported("TRACES"):
        return untraced()
    from services.telemetry.span_exporter import SpanExporter  # heavy, rarely needed

    # The provider reads the sampler's variables.
    sampler = TracerProvider(shutdown_on_exit=False).sampler
    processor = BatchSpanProcessor(SpanExporter(resource_of(process, settings)))
    follows_parents = os.environ.get(OTEL_TRACES_SAMPLER, _PARENT_BASED[0]).lower() in _PARENT_BASED
    return Spans(sampler, processor, follows_parents=follows_parents)


def remote_parent(carrier: Mapping[str, str]) -> SpanContext | None:
    """The span that a caller's `traceparent` and `tracestate` name; None if they are absent or malformed."""
    given = carrier.get("traceparent")
    if not given:
        return None
    # The usual form is read here: as between Envoy, edge and chat server, for every call.
    match = None if carrier.get("tracestate") else _TRACEPARENT.fullmatch(given)
    if match is None:
        span = trace.get_current_span(_PROPAGATOR.extract(carrier)).get_span_context()
    else:
        trace_id, span_id, flags = match.groups()
        span = SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(flags, 16)))
    return span if span.is_valid else None


def trace_headers(context: SpanContext) -> dict[str, str]:
    """A span as `traceparent` and `tracestate` headers for the next service."""
    headers = {"traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"}
    if context.trace_state:
        headers["tracestate"] = context.trace_state.to_header()
    return headers
