"""Who asks for metrics: a collector that they are pushed to, and Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from prometheus_client import start_http_server

from services.settings import SettingsError
from services.telemetry.histogram import with_histograms

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader, MetricsData


class _PushingReader(PeriodicExportingMetricReader):
    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **rest: Any) -> None:
        super()._receive_metrics(with_histograms(metrics_data), timeout_millis, **rest)


class _PrometheusReader(PrometheusMetricReader):
    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **rest: Any) -> None:
        super()._receive_metrics(with_histograms(metrics_data), timeout_millis, **rest)


def pushing_reader() -> MetricReader:
    """A reader that pushes over OTLP/gRPC as the `OTEL_*` variables say."""
    return _PushingReader(OTLPMetricExporter())


def shown_at(address: str) -> MetricReader:
    """A reader that answers `GET /metrics` on `HOST:PORT`, in a thread of its own: a busy loop is still seen.

    SettingsError if it cannot listen there.
    """
    host, _, port = address.rpartition(":")
    try:
        start_http_server(int(port), host)
    except (OSError, ValueError, OverflowError) as error:
        raise SettingsError(f"Metrics cannot be shown at {address!r}, which must be HOST:PORT: {error}.") from error
    return _PrometheusReader(scope_info_enabled=False)
