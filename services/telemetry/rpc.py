"""One span, one request id and one kind of failure for every call, whichever transport brought it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from services.errors import ChasquiError, Code
from services.telemetry.call import CallContext, current_call, request_id_from
from services.telemetry.tracing import remote_parent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from opentelemetry.trace import Span

Response = TypeVar("Response")

log = logging.getLogger(__name__)


async def observe(method: str, metadata: Mapping[str, str], run: Callable[[], Awaitable[Response]]) -> Response:
    """Run a call of `method` ("/package.Service/Method") in a span that begins and ends in this task.

    `metadata` holds `traceparent`, `tracestate` and `x-request-id` where the caller gave them. Whatever fails is raised
    as a ChasquiError; a cancellation passes through.
    """
    service, _, name = method.removeprefix("/").partition("/")
    with trace.get_tracer("chasqui.server").start_as_current_span(
        f"{service}/{name}",
        remote_parent(metadata),
        SpanKind.SERVER,
        {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        trace_id = trace.format_trace_id(span.get_span_context().trace_id)
        current_call.set(CallContext(request_id_from(metadata.get("x-request-id")), trace_id))
        return await _observed(span, run)


async def _observed(span: Span, run: Callable[[], Awaitable[Response]]) -> Response:
    """Tell the span every way in which the call can end."""
    try:
        response = await run()
    except ChasquiError as error:
        _failed(span, error.code, error.reason, error.message)
        raise
    except asyncio.CancelledError:
        _failed(span, Code.CANCELLED, "CANCELLED", "cancelled")
        raise
    except Exception as error:
        log.exception("a call failed", extra={"fields": {"request_id": current_call.get().request_id}})
        _failed(span, Code.INTERNAL, type(error).__name__, "internal error")
        raise ChasquiError("The server failed; the operator's log says why.") from error
    span.set_attribute("rpc.grpc.status_code", 0)
    return response


def _failed(span: Span, code: Code, kind: str, description: str) -> None:
    span.set_attributes({"rpc.grpc.status_code": code.value, "error.type": kind})
    span.set_status(Status(StatusCode.ERROR, description))
