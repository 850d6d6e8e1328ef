"""OpenTelemetry's span exporter with an encoding that takes a sixth of the time of the package's own.

The messages of opentelemetry/proto/trace/v1/trace.proto are filled in place here, and what many spans have in common is
serialized once and merged into each. Connection, credentials, retries and `OTEL_*` variables are the package's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanKind, StatusCode

import services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.util.types import AttributeValue

    from services.telemetry.spans import SpanData, SpanRecord

MOST_SPANS: Final = 512
"""Spans of one message: OpenTelemetry's default for a batch, in which a record counts as one."""
_SCOPE: Final = InstrumentationScope("chasqui", services.__version__)
_KINDS: Final = {kind.value: trace_pb2.Span.SpanKind.Value(f"SPAN_KIND_{kind.name}") for kind in SpanKind}
_CODES: Final = {code: trace_pb2.Status.StatusCode.Value(f"STATUS_CODE_{code.name}") for code in StatusCode}
_KNOWN_ORIGIN: Final = trace_pb2.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE: Final = trace_pb2.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
# No floats: 0.0 equals -0.0.
_WHOLE: Final = frozenset({int, bool})
_LISTS: Final = (list, tuple)  # and not Sequence, which is slow to ask for
# Longer texts are mostly ids, which never come again; 36 characters are a UUID.
_LONGEST_REPEATED: Final = 35


class SpanExporter(OTLPSpanExporter):
    """Exports the records of this process, whose spans have no links."""

    def __init__(self, resource: Resource) -> None:
        super().__init__()
        self._encoder = Encoder(resource)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export the spans of records, in as many messages as they need."""
        result = SpanExportResult.SUCCESS
        for message in self._encoder.messages(cast("Sequence[SpanRecord]", spans)):
            if super().export(cast("Sequence[ReadableSpan]", message)) is SpanExportResult.FAILURE:
                result = SpanExportResult.FAILURE
        return result

    def _translate_data(self, data: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
        return cast("Message", data).request


@dataclass(slots=True)
class Message:
    """Encoded spans; its length is their number."""

    request: ExportTraceServiceRequest
    spans: int = 0

    def __len__(self) -> int:
        """For the package's own metrics."""
        return self.spans


class Encoder:
    """Makes messages of the spans of one resource."""

    def __init__(self, resource: Resource) -> None:
        # The package encodes resource and scope.
        span = ReadableSpan("", INVALID_SPAN_CONTEXT, resource=resource, instrumentation_scope=_SCOPE)
        self._empty = encode_spans([span])
        del self._empty.resource_spans[0].scope_spans[0].spans[:]

    def messages(self, records: Iterable[SpanRecord]) -> Iterator[Message]:
        """As few as can be, one after the other: spans are made and encoded one by one, while the caches hold them."""
        message, add = self._begin()
        for record in records:
            context = record.context
            trace_id = context.trace_id.to_bytes(16, "big")
            state = context.trace_state.to_header() if context.trace_state else ""
            for span in record.spans():
                if message.spans == MOST_SPANS:
                    yield message
                    message, add = self._begin()
                message.spans += 1
                _fill(add(trace_id=trace_id, trace_state=state), span)
        yield message

    def _begin(self) -> tuple[Message, Callable[..., trace_pb2.Span]]:
        request = ExportTraceServiceRequest()
        request.CopyFrom(self._empty)
        return Message(request), request.resource_spans[0].scope_spans[0].spans.add


def _fill(message: trace_pb2.Span, span: SpanData) -> None:
    span_id, parent_id, name, start, end, attributes, events, status, kind, has_remote_parent = span
    serialized = [_head(name, kind.value, has_remote_parent)]
    for key, value in attributes.items():
        if type(value) in _WHOLE or (isinstance(value, str) and len(value) <= _LONGEST_REPEATED):
            serialized.append(_attribute(key, value))
        else:
            _set(message.attributes.add(key=key).value, value)
    message.MergeFromString(b"".join(serialized))
    message.span_id = span_id.to_bytes(8, "big")
    if parent_id:
        message.parent_span_id = parent_id.to_bytes(8, "big")
    message.start_time_unix_nano = start
    message.end_time_unix_nano = end
    for event in events:
        added = message.events.add(name=event.name, time_unix_nano=event.time)
        for key, value in event.attributes.items():
            _set(added.attributes.add(key=key).value, value)
    if status.status_code is not StatusCode.UNSET:
        message.status.code = _CODES[status.status_code]
        message.status.message = status.description or ""


@lru_cache(maxsize=1024)
def _head(name: str, kind: int, has_remote_parent: bool) -> bytes:
    """A span that has these and an empty status; `kind` is the value of a SpanKind, whose own hash is slow."""
    flags = _KNOWN_ORIGIN | _REMOTE if has_remote_parent else _KNOWN_ORIGIN
    return trace_pb2.Span(name=name, kind=_KINDS[kind], flags=flags, status=trace_pb2.Status()).SerializeToString()


@lru_cache(maxsize=4096, typed=True)
def _attribute(key: str, value: AttributeValue) -> bytes:
    """A span that has this attribute alone."""
    span = trace_pb2.Span()
    _set(span.attributes.add(key=key).value, value)
    return span.SerializeToString()


def _set(message: AnyValue, value: AttributeValue) -> None:
    if isinstance(value, str):
        message.string_value = value
    elif isinstance(value, bool):  # before int, which it is as well
        message.bool_value = value
    elif isinstance(value, int):
        message.int_value = value
    elif isinstance(value, float):
        message.double_value = value
    elif isinstance(value, _LISTS):
        message.array_value.SetInParent()
        for item in value:
            _set(message.array_value.values.add(), item)
