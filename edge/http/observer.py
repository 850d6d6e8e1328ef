"""Records one span, one metric point and one log line per HTTP request; nothing per chunk."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics, trace
from opentelemetry.metrics import Observation
from opentelemetry.semconv.attributes import (
    error_attributes,
    http_attributes,
    network_attributes,
    url_attributes,
    user_agent_attributes,
)
from opentelemetry.semconv.metrics import http_metrics
from opentelemetry.trace import Status, StatusCode

from edge.http.exchange import CLIENT_CLOSED_REQUEST, Exchange, current_exchange
from edge.http2.scope import WRITE
from services.telemetry import outcome
from services.telemetry.call import request_id_from
from services.telemetry.histogram import histogram
from services.telemetry.tracing import remote_parent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping, Sequence

    from opentelemetry.metrics import CallbackOptions
    from opentelemetry.util.types import AttributeValue
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from services.telemetry.spans import Spans

log = logging.getLogger(__name__)

# In seconds: the buckets of OpenTelemetry's HTTP conventions, and longer ones for generation.
_DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0)
# Probes come every second or so, and are not recorded.
_PROBES: Final = frozenset({"/healthz", "/readyz", "/health", "/ping"})
_READ: Final = frozenset({b"traceparent", b"tracestate", b"x-request-id", b"x-forwarded-proto", b"user-agent"})
_LONGEST_USER_AGENT: Final = 256
# Any other text that a caller sends as a method is counted as this: labels must have few values.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_OTHER: Final = "_OTHER"
_LONGEST_METHOD: Final = 64


class Observer:
    """ASGI middleware. Endpoints add what they know to `current_exchange`."""

    def __init__(self, app: ASGIApp, spans: Spans, routes: Sequence[tuple[str, str]] = ()) -> None:
        """`routes`, pairs of method and pattern, have a series in the metrics before their first request."""
        self._app = app
        self._spans = spans
        self._open = 0
        meter = metrics.get_meter("chasqui.edge")
        self._duration = histogram(
            http_metrics.HTTP_SERVER_REQUEST_DURATION,
            "Duration of HTTP requests, to the last byte of the response.",
            _DURATIONS,
        )
        for method, route in routes:
            self._duration.begin({**_labels(method, 200, outcome.COMPLETED), http_attributes.HTTP_ROUTE: route})
        meter.create_observable_gauge(
            "chasqui.edge.open_requests", [self._observe_open], "{request}", "Requests that are running."
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the wrapped application and record the outcome."""
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        # Of a header that is sent twice the first counts.
        given = {name.decode(): value.decode("latin-1") for name, value in reversed(scope["headers"]) if name in _READ}
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        span = self._spans.begin("HTTP" if method is _OTHER else method, remote_parent(given))
        if self._spans.records(span.context):
            span.attributes = _request_attributes(scope, given)
        trace_id = trace.format_trace_id(span.context.trace_id)
        write = scope.get("extensions", {}).get(WRITE, _takes_nothing)
        exchange = Exchange(request_id_from(given.get("x-request-id")), trace_id, span, send, write)
        current_exchange.set(exchange)

        def note(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
            return send(message)

        self._open += 1
        try:
            await self._app(scope, receive, note)
        finally:
            self._open -= 1
            self._end(method, scope["path"], exchange, time.monotonic() - began)

    def _end(self, method: str, path: str, exchange: Exchange, seconds: float) -> None:
        span = exchange.span
        status = CLIENT_CLOSED_REQUEST if exchange.hung_up else exchange.status or 500
        word = _outcome(status, exchange)
        labels = _labels(method, status, word)
        if exchange.route is not None:
            labels[http_attributes.HTTP_ROUTE] = exchange.route
            span.name = f"{span.name} {exchange.route}"
        kind = exchange.error.reason if exchange.error is not None else str(status)
        if word != outcome.COMPLETED:
            labels[error_attributes.ERROR_TYPE] = kind
        if word not in (outcome.COMPLETED, outcome.INVALID):
            span.status = Status(StatusCode.ERROR, kind)
        if self._spans.records(span.context):
            span.attributes.update(labels)
            span.attributes["chasqui.request_id"] = exchange.request_id
            self._spans.end(span)
        self._duration.record(seconds, labels, span.context)
        usage = exchange.usage
        fields = {
            "request_id": exchange.request_id,
            "trace_id": exchange.trace_id,
            "method": method,
            "path": exchange.route or path,
            "status": status,
            "outcome": word,
            "reason": None if exchange.error is None else exchange.error.reason,
            "param": None if exchange.error is None else exchange.error.param,
            "model": exchange.model,
            "prompt_tokens": None if usage is None else usage.prompt_tokens,
            "completion_tokens": None if usage is None else usage.completion_tokens,
            "seconds": round(seconds, 6),
        }
        log.info("request answered", extra={"fields": fields})

    def _observe_open(self, _: CallbackOptions) -> Iterator[Observation]:
        yield Observation(self._open)


def _takes_nothing(_: bytes) -> bool:
    """For a server without that extension."""
    return False


def _labels(method: str, status: int, word: str) -> dict[str, str | int]:
    return {
        http_attributes.HTTP_REQUEST_METHOD: method,
        http_attributes.HTTP_RESPONSE_STATUS_CODE: status,
        "chasqui.outcome": word,
    }


def _request_attributes(scope: Scope, headers: Mapping[str, str]) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        url_attributes.URL_PATH: scope["path"],
        url_attributes.URL_SCHEME: headers.get("x-forwarded-proto", scope["scheme"]),
        network_attributes.NETWORK_PROTOCOL_VERSION: scope["http_version"],
    }
    agent = headers.get("user-agent")
    if agent is not None:
        attributes[user_agent_attributes.USER_AGENT_ORIGINAL] = agent[:_LONGEST_USER_AGENT]
    if scope["method"] not in _METHODS:
        attributes[http_attributes.HTTP_REQUEST_METHOD_ORIGINAL] = scope["method"][:_LONGEST_METHOD]
    return attributes


def _outcome(status: int, exchange: Exchange) -> str:
    """The outcome of a request. A stream's error comes after its status 200, and takes precedence."""
    if exchange.hung_up:
        return outcome.CANCELLED
    if exchange.error is not None:
        return outcome.outcome_of(exchange.error)
    if status < 400:
        return outcome.COMPLETED
    return outcome.INVALID if status < 500 else outcome.FAILED
