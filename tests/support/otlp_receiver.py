"""A collector: takes what parts export over OTLP/gRPC, and keeps it for a test to look at."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

_PATIENCE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span in plain values. Ids are hexadecimal, times are nanoseconds since 1970."""

    part: str  # service.name of the process that sent it
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    start: int
    end: int
    attributes: dict[str, Any]
    events: dict[str, dict[str, Any]]
    status: str  # UNSET, OK or ERROR
    description: str


class OtlpReceiver(
    trace_service_pb2_grpc.TraceServiceServicer,
    metrics_service_pb2_grpc.MetricsServiceServicer,
):
    """A context manager that listens on a free port of the loopback.

    `broken` makes it refuse everything; spans whose name is `ignored` are dropped.
    """

    def __init__(self, *, broken: bool = False, ignored: str = "") -> None:
        self.spans: list[ReceivedSpan] = []
        self.sizes: list[int] = []  # how many spans came at a time
        self.metrics: dict[str, set[str]] = {}  # names by part
        self.examples: dict[str, set[str]] = {}  # ids of traces that histograms give as examples, by metric
        self.refused = 0
        self._broken = broken
        self._ignored = ignored
        self._server = grpc.server(ThreadPoolExecutor(4))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        # Both services have one method of the same name: each gets a servicer of its own.
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(_Metrics(self), self._server)  # type: ignore[no-untyped-call]
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        """Listen."""
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Stop."""
        self._server.stop(0).wait()

    def Export(  # noqa: N802 - the contract's name
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Keep spans."""
        self.refuse_if_broken(context)
        self.sizes.append(sum(len(scope.spans) for group in request.resource_spans for scope in group.scope_spans))
        for group in request.resource_spans:
            part = plain(group.resource.attributes)["service.name"]
            spans = (span for scope in group.scope_spans for span in scope.spans)
            self.spans += [_received(part, span) for span in spans if span.name != self._ignored]
        return trace_service_pb2.ExportTraceServiceResponse()

    def refuse_if_broken(self, context: grpc.ServicerContext) -> None:
        """Count an export that will not be taken."""
        if self._broken:
            self.refused += 1
            context.abort(grpc.StatusCode.INTERNAL, "This collector is broken.")

    def trace(self, trace_id: str, size: int) -> list[ReceivedSpan]:
        """The spans of a trace by their start, once there are `size`; TimeoutError if there never are.

        Spans of AccountService are left out: the edge asks about a key that it
        has not asked about for some seconds.
        """
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            found = (span for span in list(self.spans) if span.trace_id == trace_id)
            spans = sorted((span for span in found if "AccountService" not in span.name), key=lambda span: span.start)
            if len(spans) >= size:
                return spans
            time.sleep(0.05)
        raise TimeoutError(f"the trace has only {[(span.part, span.name) for span in spans]}")


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, receiver: OtlpReceiver) -> None:
        self._receiver = receiver

    def Export(  # noqa: N802 - the contract's name
        self, request: metrics_service_pb2.ExportMetricsServiceRequest, context: grpc.ServicerContext
    ) -> metrics_service_pb2.ExportMetricsServiceResponse:
        """Keep the names of metrics, and the traces that they refer to."""
        self._receiver.refuse_if_broken(context)
        for group in request.resource_metrics:
            part = plain(group.resource.attributes)["service.name"]
            names = self._receiver.metrics.setdefault(part, set())
            for metric in (metric for scope in group.scope_metrics for metric in scope.metrics):
                names.add(metric.name)
                examples = (example for point in metric.histogram.data_points for example in point.exemplars)
                self._receiver.examples.setdefault(metric.name, set()).update(each.trace_id.hex() for each in examples)
        return metrics_service_pb2.ExportMetricsServiceResponse()


def plain(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as a dictionary."""
    return {pair.key: _value(pair.value) for pair in attributes}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def _received(part: str, span: Span) -> ReceivedSpan:
    return ReceivedSpan(
        part=part,
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=type(span).SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=plain(span.attributes),
        events={event.name: plain(event.attributes) for event in span.events},
        status={0: "UNSET", 1: "OK", 2: "ERROR"}[span.status.code],
        description=span.status.message,
    )
