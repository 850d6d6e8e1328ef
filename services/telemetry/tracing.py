"""OpenTelemetry tracing: one provider per process, configured by the standard `OTEL_*` variables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import services

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context

_PROPAGATOR = TraceContextTextMapPropagator()
_ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def configure_tracing(service_name: str) -> TracerProvider:
    """Install the provider. Spans are exported over OTLP/gRPC when an `OTEL_EXPORTER_OTLP_*ENDPOINT` is set."""
    resource = Resource.create({"service.name": service_name, "service.version": services.__version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    if any(os.environ.get(name) for name in _ENDPOINT_VARIABLES):
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # heavy, rarely needed

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


def remote_parent(carrier: Mapping[str, str]) -> Context:
    """The context that a caller's `traceparent` and `tracestate` continue; an empty one if they are absent or wrong."""
    return _PROPAGATOR.extract(carrier)


def trace_headers() -> dict[str, str]:
    """The current span as `traceparent` and `tracestate`, for whoever continues the trace."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier
