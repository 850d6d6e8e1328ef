"""OpenTelemetry metrics: one provider per process, pushed over OTLP and scraped by Prometheus as configured."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider

from services.telemetry.histogram import histogram
from services.telemetry.otlp import exported
from services.telemetry.resource import resource_of

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader

    from services.settings import Settings

_INTERVAL: Final = 0.5
_LAG_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def configure_metrics(process: str, settings: Settings) -> MeterProvider:
    """Install the provider of the process named `process`. Without a reader nothing is recorded.

    Metrics are pushed when an `OTEL_EXPORTER_OTLP_*ENDPOINT` is set, and served at `metrics_address`; SettingsError if
    that address is not available.
    """
    readers: list[MetricReader] = []
    pushed = exported("METRICS")
    if pushed or settings.metrics_address:
        from services.telemetry import metric_readers  # heavy, rarely needed

        if pushed:
            readers.append(metric_readers.pushing_reader())
        if settings.metrics_address:
            readers.append(metric_readers.prometheus_reader(settings.metrics_address))
    provider = MeterProvider(readers, resource_of(process, settings), shutdown_on_exit=False)
    if readers:
        metrics.set_meter_provider(provider)
    return provider


async def watch_event_loop() -> None:
    """Record the lag of this process's event loop and the number of its tasks, until cancelled."""
    meter = metrics.get_meter("chasqui")
    tasks = meter.create_gauge("chasqui.event_loop.tasks", "{task}", "Tasks of the event loop.")
    lag = histogram("chasqui.event_loop.lag", "Delay of a timer of the event loop beyond its due time.", _LAG_BUCKETS)
    loop = asyncio.get_running_loop()
    lag.begin({})
    while True:
        tasks.set(len(asyncio.all_tasks()))
        due = loop.time() + _INTERVAL
        await asyncio.sleep(_INTERVAL)
        lag.record(max(loop.time() - due, 0.0), {})
