"""OpenTelemetry metrics: one provider per process, pushed over OTLP and scraped by Prometheus as configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics

from services.telemetry.otlp import exported
from services.telemetry.resource import resource_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.metrics.export import MetricReader

    from services.settings import Settings


def configure_metrics(process: str, settings: Settings) -> Callable[[], None]:
    """Install the provider of the process named `process`, and return its shutdown, which exports the last values.

    Metrics are pushed when an `OTEL_EXPORTER_OTLP_*ENDPOINT` is set, and served at `metrics_address`; SettingsError if
    that address is not available. Otherwise nothing is recorded.
    """
    pushed = exported("METRICS")
    if not pushed and not settings.metrics_address:
        return _nothing
    from opentelemetry.sdk.metrics import MeterProvider

    from services.telemetry import metric_readers  # heavy, rarely needed

    readers: list[MetricReader] = []
    if pushed:
        readers.append(metric_readers.pushing_reader())
    if settings.metrics_address:
        readers.append(metric_readers.prometheus_reader(settings.metrics_address))
    provider = MeterProvider(readers, resource_of(process, settings), shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    return provider.shutdown


def _nothing() -> None:
    """There are no values to export."""
