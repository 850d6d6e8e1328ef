"""Histograms that are cheap to record and are converted to OpenTelemetry's form when they are collected.

A call records six values. OpenTelemetry's own instruments take 20 to 40 µs for each, most of the cost of metrics;
these take about 2 µs. Their temporality is always cumulative, whatever
`OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` says.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.util.instrumentation import InstrumentationScope

import services

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.metrics.export import HistogramDataPoint, Metric, MetricsData
    from opentelemetry.trace import SpanContext

    Labels = tuple[tuple[str, str | int], ...]

MOST_SERIES: Final = 1000
"""Sets of labels of one histogram; further ones share the overflow series."""
_OVERFLOW: Final[Labels] = (("otel.metric.overflow", "true"),)
_SCOPE: Final = InstrumentationScope("chasqui", services.__version__)
_histograms: Final[dict[str, Histogram]] = {}


class Histogram:
    """Durations in seconds. Recorded in one thread, read in others without a lock: a reader may miss the latest."""

    def __init__(self, name: str, description: str, bounds: Sequence[float]) -> None:
        """`bounds` are the upper bounds of the buckets, inclusive and ascending; an unbounded last bucket is added."""
        self.name = name
        self._description = description
        self._bounds = bounds
        self._began = time.time_ns()
        self._series: dict[Labels, _Series] = {}

    def record(self, seconds: float, labels: Mapping[str, str | int], span: SpanContext | None = None) -> None:
        """Count a value; `span`, if it is sampled, becomes its exemplar."""
        key = tuple(labels.items())
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= MOST_SERIES:
                key = _OVERFLOW
            series = self._series.setdefault(key, _Series(len(self._bounds) + 1))
        series.add(bisect_left(self._bounds, seconds), seconds, span)

    def begin(self, labels: Mapping[str, str | int]) -> None:
        """Create a series with these labels at zero: a rate counts a first value only if its series existed before."""
        self._series.setdefault(tuple(labels.items()), _Series(len(self._bounds) + 1))

    def metric(self) -> Metric:
        """Everything that was recorded so far."""
        from opentelemetry.sdk.metrics import export  # heavy, rarely needed

        now = time.time_ns()
        points = [series.point(dict(key), self._began, now, self._bounds) for key, series in list(self._series.items())]
        data = export.Histogram(points, export.AggregationTemporality.CUMULATIVE)
        return export.Metric(self.name, self._description, "s", data)


class _Series:
    """The series of one set of labels."""

    __slots__ = ("_counts", "_examples", "_largest", "_smallest", "_sum")

    def __init__(self, buckets: int) -> None:
        self._counts = [0] * buckets
        self._examples: list[tuple[float, int, int, int] | None] = [None] * buckets  # the last fields of an Exemplar
        self._sum = 0.0
        self._smallest = float("inf")
        self._largest = float("-inf")

    def add(self, bucket: int, value: float, span: SpanContext | None) -> None:
        self._counts[bucket] += 1
        self._sum += value
        self._smallest = min(self._smallest, value)
        self._largest = max(self._largest, value)
        if span is not None and span.trace_flags.sampled:
            self._examples[bucket] = (value, time.time_ns(), span.span_id, span.trace_id)

    def point(
        self, attributes: dict[str, str | int], began: int, now: int, bounds: Sequence[float]
    ) -> HistogramDataPoint:
        from opentelemetry.sdk.metrics import Exemplar, export

        counts = list(self._counts)
        return export.HistogramDataPoint(
            attributes=attributes,
            start_time_unix_nano=began,
            time_unix_nano=now,
            count=(count := sum(counts)),
            sum=self._sum,
            bucket_counts=counts,
            explicit_bounds=bounds,
            min=self._smallest if count else 0.0,
            max=self._largest if count else 0.0,
            exemplars=[Exemplar({}, *example) for example in self._examples if example is not None],
        )


def histogram(name: str, description: str, bounds: Sequence[float]) -> Histogram:
    """The process's histogram of that name."""
    return _histograms.setdefault(name, Histogram(name, description, bounds))


def with_histograms(data: MetricsData) -> MetricsData:
    """The metrics that a reader collected, plus the process's histograms."""
    from opentelemetry.sdk.metrics import export

    first, *others = data.resource_metrics
    recorded = [metric for metric in map(Histogram.metric, list(_histograms.values())) if metric.data.data_points]
    scopes = [*first.scope_metrics, export.ScopeMetrics(_SCOPE, recorded, "")]
    return export.MetricsData([export.ResourceMetrics(first.resource, scopes, first.schema_url), *others])
