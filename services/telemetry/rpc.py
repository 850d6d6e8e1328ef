"""One span, one request id, one log line and one kind of error for every RPC, over every transport."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final, TypeVar

from opentelemetry import metrics, trace
from opentelemetry.metrics import Observation
from opentelemetry.semconv._incubating.attributes import rpc_attributes
from opentelemetry.semconv._incubating.metrics import rpc_metrics
from opentelemetry.semconv.attributes import error_attributes
from opentelemetry.trace import Status, StatusCode

from services.errors import Cancelled, ChasquiError
from services.telemetry import outcome
from services.telemetry.call import CallContext, current_call, request_id_from
from services.telemetry.histogram import histogram
from services.telemetry.tracing import remote_parent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from opentelemetry.metrics import CallbackOptions

    from services.telemetry.spans import RequestSpan, Spans

Response = TypeVar("Response")

log = logging.getLogger(__name__)

_SYSTEM: Final = rpc_attributes.RpcSystemNameValues.GRPC.value
# In seconds, as OpenTelemetry's conventions for RPC advise, and beyond: generation takes longer than most RPCs.
_DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

_COMPLETED: Final = {rpc_attributes.RPC_RESPONSE_STATUS_CODE: "OK", "chasqui.outcome": outcome.COMPLETED}


class RpcObserver:
    """Records the RPCs of a server; `observe` runs one."""

    def __init__(self, spans: Spans, methods: Sequence[str] = ()) -> None:
        """`methods` ("package.Service/Method") have a series in the metrics before their first call."""
        self._spans = spans
        self._duration = histogram(rpc_metrics.RPC_SERVER_CALL_DURATION, "Duration of RPCs.", _DURATIONS)
        for method in methods:
            self._duration.begin({**_labels(method), **_COMPLETED})
        self._ended = dict.fromkeys(outcome.ALL, 0)
        metrics.get_meter("chasqui.server").create_observable_counter(
            "chasqui.calls", [self._observe_ended], "{call}", "Calls that have ended, by outcome."
        )

    async def observe(
        self, method: str, metadata: Mapping[str, str], run: Callable[[], Awaitable[Response]]
    ) -> Response:
        """Run an RPC of `method` ("/package.Service/Method") in a span and set `current_call`.

        `metadata` holds `traceparent`, `tracestate` and `x-request-id` where the caller sent them. Every exception is
        raised as a ChasquiError, except cancellation, which passes through.
        """
        name = method.removeprefix("/")
        began = time.monotonic()
        labels = _labels(name)
        span = self._spans.begin(name, remote_parent(metadata))
        trace_id = trace.format_trace_id(span.context.trace_id)
        call = CallContext(request_id_from(metadata.get("x-request-id")), trace_id, span.context)
        current_call.set(call)
        try:
            response = await run()
        except ChasquiError as error:
            self._end(span, labels, call, time.monotonic() - began, error)
            raise
        except asyncio.CancelledError:
            self._end(span, labels, call, time.monotonic() - began, Cancelled("The caller ended the call."))
            raise
        except Exception as failure:
            log.exception("a call failed", extra={"fields": {"request_id": call.request_id}})
            unknown = ChasquiError("The server failed; the operator's log says why.")
            self._end(span, labels, call, time.monotonic() - began, unknown)
            raise unknown from failure
        self._end(span, labels, call, time.monotonic() - began, None)
        return response

    def _end(
        self, span: RequestSpan, labels: dict[str, str], call: CallContext, seconds: float, error: ChasquiError | None
    ) -> None:
        """Record the end of an RPC in span, metric and log; an accepted chat call is logged by its usage record."""
        word = outcome.COMPLETED if error is None else outcome.outcome_of(error)
        self._ended[word] += 1
        ended = {rpc_attributes.RPC_RESPONSE_STATUS_CODE: "OK" if error is None else error.code.name}
        if error is not None:
            ended[error_attributes.ERROR_TYPE] = error.reason
            # Not the message, which may quote the request.
            span.status = Status(StatusCode.ERROR, f"{error.reason} {error.param or ''}".strip())
        span.attributes = {**labels, **ended, "chasqui.request_id": call.request_id}
        self._spans.end(span)
        self._duration.record(seconds, {**labels, **ended, "chasqui.outcome": word}, span.context)
        if not call.accepted:
            fields = {
                "request_id": call.request_id,
                "trace_id": call.trace_id,
                "method": labels[rpc_attributes.RPC_METHOD],
                "outcome": word,
                "status": ended[rpc_attributes.RPC_RESPONSE_STATUS_CODE],
                "reason": None if error is None else error.reason,
                "param": None if error is None else error.param,
                "seconds": round(seconds, 6),
            }
            log.info("call ended", extra={"fields": fields})

    def _observe_ended(self, _: CallbackOptions) -> Iterator[Observation]:
        for word, count in self._ended.items():
            yield Observation(count, {"chasqui.outcome": word})


def _labels(method: str) -> dict[str, str]:
    return {rpc_attributes.RPC_SYSTEM_NAME: _SYSTEM, rpc_attributes.RPC_METHOD: method}
