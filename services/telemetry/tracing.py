"""OpenTelemetry tracing: one provider per process, configured by the standard `OTEL_*` variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.telemetry.finished_spans import FinishedSpans
from services.telemetry.otlp import exported
from services.telemetry.resource import resource_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context

    from services.settings import Settings

_PROPAGATOR: Final = TraceContextTextMapPropagator()


class Tracing:
    """The tracing of a process. `spans` takes spans that are written after the fact; None if nothing is exported."""

    def __init__(self, provider: TracerProvider, spans: FinishedSpans | None) -> None:
        self._provider = provider
        self.spans = spans

    def shutdown(self) -> None:
        """Export what is left, for a few seconds at most; blocks."""
        self._provider.shutdown()


def configure_tracing(part: str, settings: Settings) -> Tracing:
    """Install the provider of this process, which plays `part`.

    Spans are exported over OTLP/gRPC when an `OTEL_EXPORTER_OTLP_*ENDPOINT` is set; `OTEL_TRACES_SAMPLER` chooses
    which. Otherwise calls have their ids, for logs and for whoever continues the trace, and nothing is recorded.
    """
    if not exported("TRACES"):
        provider = TracerProvider(ALWAYS_OFF, shutdown_on_exit=False)
        trace.set_tracer_provider(provider)
        return Tracing(provider, None)
    from services.telemetry.span_exporter import SpanExporter  # heavy, rarely needed

    resource = resource_of(part, settings)
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    processor = BatchSpanProcessor(SpanExporter())
    provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    return Tracing(provider, FinishedSpans(processor, resource))


def remote_parent(carrier: Mapping[str, str]) -> Context:
    """The context that a caller's `traceparent` and `tracestate` continue; an empty one if they are absent or wrong."""
    return _PROPAGATOR.extract(carrier)


def trace_headers(context: Context | None = None) -> dict[str, str]:
    """The span of `context`, or else the current one, as `traceparent` and `tracestate` for whoever continues it."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context)
    return carrier
