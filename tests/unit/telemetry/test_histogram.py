"""Histograms: what OpenTelemetry's own would say of the same values, with bounded labels and examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import SpanContext, TraceFlags

from services.telemetry.histogram import MOST_SERIES, Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.metrics.export import HistogramDataPoint

BOUNDS = (0.1, 0.5, 1.0)


def points(histogram: Histogram) -> Sequence[HistogramDataPoint]:
    data: Any = histogram.metric().data
    found: Sequence[HistogramDataPoint] = data.data_points
    return found


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


@given(st.lists(st.tuples(st.sampled_from([*BOUNDS, 0.0, 0.3, 7.5]), st.sampled_from(["a", "b"])), min_size=1))
def test_values_are_counted_as_opentelemetry_counts_them(values: list[tuple[float, str]]) -> None:
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("test")
    theirs = meter.create_histogram("h", "s", "d", explicit_bucket_boundaries_advisory=BOUNDS)
    ours = Histogram("h", "d", BOUNDS)
    for seconds, label in values:
        theirs.record(seconds, {"label": label, "status": 200})
        ours.record(seconds, {"label": label, "status": 200})
    data: Any = reader.get_metrics_data()
    expected = data.resource_metrics[0].scope_metrics[0].metrics[0]
    metric = ours.metric()
    assert (metric.name, metric.description, metric.unit) == (expected.name, expected.description, expected.unit)
    assert metric.data.aggregation_temporality == expected.data.aggregation_temporality  # type: ignore[union-attr]
    for mine, his in zip(points(ours), expected.data.data_points, strict=True):
        assert mine.start_time_unix_nano <= mine.time_unix_nano
        for field in ("attributes", "count", "sum", "bucket_counts", "explicit_bounds", "min", "max"):
            assert _plain(getattr(mine, field)) == _plain(getattr(his, field)), field


def test_labels_beyond_the_bound_are_counted_together() -> None:
    histogram = Histogram("h", "d", BOUNDS)
    for number in range(MOST_SERIES + 3):
        histogram.record(0.2, {"label": str(number)})
    *kept, overflow = points(histogram)
    assert len(kept) == MOST_SERIES
    assert (overflow.attributes, overflow.count) == ({"otel.metric.overflow": "true"}, 3)


def test_each_bucket_gives_its_latest_sampled_span_as_an_example() -> None:
    histogram = Histogram("h", "d", BOUNDS)
    for seconds, span_id, sampled in ((0.2, 1, True), (0.3, 2, True), (0.4, 3, False), (9.0, 4, True)):
        histogram.record(seconds, {}, SpanContext(7, span_id, False, TraceFlags(int(sampled))))
    histogram.record(0.05, {})
    [point] = points(histogram)
    assert [(each.value, each.span_id, each.trace_id) for each in point.exemplars] == [(0.3, 2, 7), (9.0, 4, 7)]


def test_a_series_that_has_begun_is_shown_at_zero_and_counts_on_from_there() -> None:
    histogram = Histogram("h", "d", BOUNDS)
    histogram.begin({"label": "a"})
    [point] = points(histogram)
    assert (point.count, point.sum, point.min, point.max, list(point.bucket_counts)) == (0, 0.0, 0.0, 0.0, [0] * 4)
    histogram.record(0.3, {"label": "a"})
    histogram.begin({"label": "a"})
    [point] = points(histogram)
    assert (point.count, point.min, point.max) == (1, 0.3, 0.3)
