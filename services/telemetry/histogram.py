"""Histograms that are cheap to record, and take OpenTelemetry's form when somebody asks for them.

A call records six values. OpenTelemetry's own instruments take 20 to 40 µs for each, which is most of what metrics
cost; these take about two. Their values are cumulative, whatever `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`
says of other metrics.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

import services

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.trace import SpanContext

    Labels = tuple[tuple[str, str | int], ...]

MOST_SERIES: Final = 1000
"""Sets of labels that a histogram tells apart; what comes beyond is counted together."""
_OVERFLOW: Final[Labels] = (("otel.metric.overflow", "true"),)
_SCOPE: Final = InstrumentationScope("chasqui", services.__version__)
_histograms: Final[dict[str, Histogram]] = {}


class Histogram:
    """Durations in seconds. Records in one thread and is read in others, which may see a call a little later."""

    def __init__(self, name: str, description: str, bounds: Sequence[float]) -> None:
        """`bounds` are the buckets' upper ends, inclusive and ascending; a bucket beyond the last is added."""
        self.name = name
        self._description = description
        self._bounds = bounds
        self._began = time.time_ns()
        self._series: dict[Labels, _Series] = {}

    def record(self, seconds: float, labels: Mapping[str, str | int], span: SpanContext | None = None) -> None:
        """Count a value; `span` is an example of it, if it is sampled."""
        key = tuple(labels.items())
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= MOST_SERIES:
                key = _OVERFLOW
            series = self._series.setdefault(key, _Series(len(self._bounds) + 1))
        series.add(bisect_left(self._bounds, seconds), seconds, span)

    def begin(self, labels: Mapping[str, str | int]) -> None:
        """Show values with these labels from now on, at zero: a rate sees the first only as an increase from there."""
        self._series.setdefault(tuple(labels.items()), _Series(len(self._bounds) + 1))

    def metric(self) -> Metric:
        """All that was recorded so far."""
        now = time.time_ns()
        points = [series.point(dict(key), self._began, now, self._bounds) for key, series in list(self._series.items())]
        data = HistogramData(points, AggregationTemporality.CUMULATIVE)
        return Metric(self.name, self._description, "s", data)


class _Series:
    """The values of one set of labels."""

    __slots__ = ("_counts", "_examples", "_largest", "_smallest", "_sum")

    def __init__(self, buckets: int) -> None:
        self._counts = [0] * buckets
        self._examples: list[Exemplar | None] = [None] * buckets
        self._sum = 0.0
        self._smallest = float("inf")
        self._largest = float("-inf")

    def add(self, bucket: int, value: float, span: SpanContext | None) -> None:
        self._counts[bucket] += 1
        self._sum += value
        self._smallest = min(self._smallest, value)
        self._largest = max(self._largest, value)
        if span is not None and span.trace_flags.sampled:
            self._examples[bucket] = Exemplar({}, value, time.time_ns(), span.span_id, span.trace_id)

    def point(
        self, attributes: dict[str, str | int], began: int, now: int, bounds: Sequence[float]
    ) -> HistogramDataPoint:
        counts = list(self._counts)
        return HistogramDataPoint(
            attributes=attributes,
            start_time_unix_nano=began,
            time_unix_nano=now,
            count=(count := sum(counts)),
            sum=self._sum,
            bucket_counts=counts,
            explicit_bounds=bounds,
            min=self._smallest if count else 0.0,
            max=self._largest if count else 0.0,
            exemplars=[example for example in self._examples if example is not None],
        )


def histogram(name: str, description: str, bounds: Sequence[float]) -> Histogram:
    """The process's histogram of that name."""
    return _histograms.setdefault(name, Histogram(name, description, bounds))


def with_histograms(data: MetricsData) -> MetricsData:
    """What a reader collected, and the process's histograms."""
    first, *others = data.resource_metrics
    recorded = [metric for metric in map(Histogram.metric, list(_histograms.values())) if metric.data.data_points]
    ours = ScopeMetrics(_SCOPE, recorded, "")
    return MetricsData([ResourceMetrics(first.resource, [*first.scope_metrics, ours], first.schema_url), *others])
