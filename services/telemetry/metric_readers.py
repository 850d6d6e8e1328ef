"""Metric readers: one pushes to an OTLP collector, one is scraped by Prometheus."""

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


def prometheus_reader(address: str) -> MetricReader:
    """A reader that serves `GET /metrics` on `HOST:PORT` in its own thread, so that a busy event loop can be scraped.

    SettingsError if it cannot listen there.
    """
    host, _, port = address.rpartition(":")
    try:
        start_http_server(int(port), host)
    except (OSError, ValueError, OverflowError) as error:
        raise SettingsError(f"Metrics cannot be served at {address!r}, which must be HOST:PORT: {error}.") from error
    return _PrometheusReader(scope_info_enabled=False)
