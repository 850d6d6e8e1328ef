"""Interceptors of every RPC: span and ids, errors as statuses, authentication."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc

from services.chat.transport.parsing import MessageParser
from services.chat.transport.status import abort
from services.errors import ChasquiError
from services.telemetry.call import current_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from google.protobuf.message import Message

    from services.chat.transport.authentication import Authentication
    from services.telemetry.rpc import RpcObserver

    Handler = grpc.RpcMethodHandler[Any, Any]
    Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]
    Behaviour = Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[Any]]

_OURS = "/chasqui.v1."
_OPEN = "/grpc.health.v1.Health/"
# By whether requests and responses are streams.
_MAKERS: Final[dict[tuple[bool, bool], Any]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
# The endpoints over REST that are the same; that of a chat follows from the request. Methods that are not here have
# their own names, which no scoped token may use.
_ENDPOINTS = {
    "/chasqui.v1.ChatService/Chat": "",
    "/chasqui.v1.ChatService/StreamChat": "",
    "/chasqui.v1.ModelService/ListModels": "models",
    "/chasqui.v1.ModelService/GetModel": "models",
    "/chasqui.v1.ModelService/CountTokens": "tokenize",
    "/chasqui.v1.ModelService/Detokenize": "detokenize",
    "/chasqui.v1.UsageService/ListUsage": "usage",
    "/chasqui.v1.TokenService/CreateToken": "scoped-jwt",
    "/chasqui.v1.TokenService/GetToken": "scoped-jwt",
}


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Gives each RPC of our services a span, a request id, and a status for every exception.

    OpenTelemetry's own interceptor for grpc.aio records an aborted call as OK and holds a context token across the
    yields of a streaming handler, which fails when the stream is cancelled. Our handlers are coroutines that write, so
    here a span begins and ends in one task.
    """

    def __init__(self, observer: RpcObserver) -> None:
        self._observer = observer
        self._parser = MessageParser()

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Wrap the handlers of our own services; health and reflection stay as they are."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(_OURS):
            return handler
        shape = handler.request_streaming, handler.response_streaming
        behaviour: Any = handler.stream_unary or handler.unary_stream or handler.unary_unary
        # The class whose `FromString` it is; a refusal has none and does not look at the message.
        deserializer: Any = handler.request_deserializer
        kind = deserializer and deserializer.__self__
        read = self._parts if handler.request_streaming else self._message
        serialize = _serializer(handler.response_serializer)
        wrapped: Handler = _MAKERS[shape](self._wrap(method, behaviour, kind, read), None, serialize)
        return wrapped

    async def _message(self, data: bytes, kind: type[Message]) -> Message:
        return await self._parser.parse(data, kind)

    async def _parts(self, stream: AsyncIterator[bytes], kind: type[Message]) -> AsyncIterator[Message]:
        async def parts() -> AsyncIterator[Message]:
            async for data in stream:
                yield await self._parser.parse(data, kind)

        return parts()

    def _wrap(
        self, method: str, behaviour: Behaviour, kind: type[Message] | None, read: Callable[[Any, Any], Awaitable[Any]]
    ) -> Behaviour:
        async def call(data: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            async def run() -> Any:
                context.set_trailing_metadata((("x-request-id", current_call.get().request_id),))
                return await behaviour(None if kind is None else await read(data, kind), context)

            try:
                return await self._observer.observe(method, metadata_of(context.invocation_metadata()), run)
            except ChasquiError as error:
                failure = error
            # grpc.aio keeps the exception that an abort raises, and its traceback keeps this frame: breaks that
            # reference cycle, which would keep megabytes until the garbage collector runs.
            data = failure.__traceback__ = failure.__context__ = None
            return await abort(context, failure)

        return call


class AuthenticationInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls without a valid key, or with one that may not use the endpoint; health needs none."""

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """The handler, or one of the same kind that refuses."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(_OPEN):
            return handler
        method = handler_call_details.method
        ours = method.startswith(_OURS)
        try:
            metadata = metadata_of(handler_call_details.invocation_metadata)
            self._authentication.caller(metadata, _ENDPOINTS.get(method, method[1:] if ours else ""))
        except ChasquiError as error:
            return _refusal(handler, error, observed=ours)
        return handler


def _serializer(serialize: Any) -> Callable[[Any], bytes]:
    """The same, for messages of which some are serialized already."""
    return lambda message: message if isinstance(message, bytes) else serialize(message)


def metadata_of(pairs: Iterable[tuple[str, str | bytes]] | None) -> dict[str, str]:
    """A call's metadata by name; binary values, which we do not use, as their repr."""
    return {key: str(value) for key, value in pairs or ()}


def _refusal(handler: Handler, error: ChasquiError, *, observed: bool) -> Handler:
    async def refuse(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        if observed:
            raise error
        await abort(context, error)

    make = _MAKERS[handler.request_streaming, handler.response_streaming]
    refusal: Handler = make(refuse, None, handler.response_serializer)  # the message is not parsed
    return refusal
