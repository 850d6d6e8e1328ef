"""What surrounds every RPC: its span and ids, its failures as statuses, and the check of credentials."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import grpc
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from services.chat.status import abort
from services.errors import ChasquiError, Code, InvalidApiKey
from services.telemetry.call import CallContext, current_call, request_id_from
from services.telemetry.tracing import remote_parent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.chat.authentication import Authentication

    Handler = grpc.RpcMethodHandler[Any, Any]
    Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]
    Behaviour = Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[Any]]

log = logging.getLogger(__name__)

_OURS = "/chasqui.v1."
_OPEN = "/grpc.health.v1.Health/"


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Gives each RPC of ours a span, a request id, and a status for whatever it raises.

    OpenTelemetry's own interceptor for grpc.aio records an aborted call as OK and holds a context token across the
    yields of a streaming handler, which fails when the stream is cancelled. Our handlers are coroutines that write, so
    here a span begins and ends in one task.
    """

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Wrap the handlers of our own services; health and reflection stay as they are."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(_OURS):
            return handler
        streams = handler.response_streaming
        make: Any = grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
        behaviour: Any = handler.unary_stream if streams else handler.unary_unary
        wrapped: Handler = make(
            self._wrap(method, behaviour), handler.request_deserializer, handler.response_serializer
        )
        return wrapped

    def _wrap(self, method: str, behaviour: Behaviour) -> Behaviour:
        service, _, name = method.removeprefix("/").partition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
        tracer = trace.get_tracer("chasqui.server")

        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
            with tracer.start_as_current_span(
                f"{service}/{name}",
                remote_parent(metadata),
                SpanKind.SERVER,
                attributes,
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                request_id = request_id_from(metadata.get("x-request-id"))
                trace_id = trace.format_trace_id(span.get_span_context().trace_id)
                current_call.set(CallContext(request_id, trace_id))
                context.set_trailing_metadata((("x-request-id", request_id),))
                return await _answer(behaviour, request, context, span)

        return call


async def _answer(
    behaviour: Behaviour, request: Any, context: grpc.aio.ServicerContext[Any, Any], span: trace.Span
) -> Any:
    """Run the handler; every way in which it can end is told to the span and to the caller."""
    code = Code.UNKNOWN
    try:
        response = await behaviour(request, context)
    except ChasquiError as error:
        code = error.code
        span.set_attribute("error.type", error.reason)
        span.set_status(Status(StatusCode.ERROR, error.message))
        await abort(context, error)
    except asyncio.CancelledError:
        code = Code.CANCELLED
        span.set_status(Status(StatusCode.ERROR, "cancelled"))
        raise
    except grpc.aio.AbortError:
        # Refused by an interceptor further in; there is no other use of abort.
        code = Code.UNAUTHENTICATED
        span.set_status(Status(StatusCode.ERROR, "refused"))
        raise
    except Exception as error:
        code = Code.INTERNAL
        log.exception("a handler failed", extra={"fields": {"request_id": current_call.get().request_id}})
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(Status(StatusCode.ERROR, "internal error"))
        await abort(context, ChasquiError("The server failed; the operator's log says why."))
    else:
        span.set_attribute("rpc.grpc.status_code", 0)
        return response
    finally:
        if code is not Code.UNKNOWN:
            span.set_attribute("rpc.grpc.status_code", code.value)


class AuthenticationInterceptor(grpc.aio.ServerInterceptor):
    """Lets a call in only with a known key; health is open to all."""

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """The handler, or one of the same kind that refuses."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(_OPEN):
            return handler
        metadata = {key: str(value) for key, value in handler_call_details.invocation_metadata or ()}
        try:
            self._authentication.check(metadata.get("authorization"))
        except InvalidApiKey as error:
            return _refusal(handler, error)
        return handler


def _refusal(handler: Handler, error: InvalidApiKey) -> Handler:
    async def refuse(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await abort(context, error)

    make: Any = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[handler.request_streaming, handler.response_streaming]
    refusal: Handler = make(refuse, handler.request_deserializer, handler.response_serializer)
    return refusal
