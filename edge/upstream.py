"""The chat server as the edge sees it: RPCs with the caller's credentials, time, trace and request id."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from starlette.exceptions import HTTPException

from chasqui.v1 import chat_service_pb2, chat_service_pb2_grpc, model_service_pb2, model_service_pb2_grpc
from services.errors import ChasquiError, Code, Unavailable
from services.settings import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.datastructures import Headers

    from chasqui.v1 import stream_pb2

Response = TypeVar("Response")

log = logging.getLogger(__name__)

_FORWARDED: Final = ("authorization", "traceparent", "tracestate", "x-request-id", "x-request-timeout")
_CHAT_SERVICE: Final = chat_service_pb2.DESCRIPTOR.services_by_name["ChatService"].full_name
_RECONNECT_SECONDS = 0.2
# gRPC takes 8 KiB of metadata in all.
_LONGEST_HEADER: Final = 2048
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 60_000),
)


class UpstreamError(ChasquiError):
    """What the chat server answered instead of a result; `code` and `reason` are its own."""

    def __init__(self, code: Code, message: str, *, reason: str, param: str | None, retry_after: float | None) -> None:
        super().__init__(message, param=param, retry_after=retry_after)
        self.code = code  # type: ignore[misc]  # this class stands for every code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What travels beside a request."""

    metadata: tuple[tuple[str, str], ...]

    @classmethod
    def from_headers(cls, headers: Headers) -> CallOptions:
        """Options of an HTTP request; the server judges what the headers say. HTTPException 431 if one is too long."""
        given = [(name, headers[name]) for name in _FORWARDED if name in headers]
        for name, value in given:
            if len(value) > _LONGEST_HEADER:
                raise HTTPException(431, f"The header {name} is longer than {_LONGEST_HEADER:,} bytes.")
        # gRPC's metadata is printable ASCII; nothing else is a key, an id or a number.
        return cls(tuple((name, value) for name, value in given if value.isascii() and value.isprintable()))


class ChatStream:
    """The events of a streamed call."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def read(self) -> Sequence[stream_pb2.StreamEvent]:
        """The next events, at least one; raises the server's error as a ChasquiError.

        The last events end with Completed; nobody may read on after that.
        """
        try:
            message = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise chasqui_error(error) from error
        if message is not grpc.aio.EOF:
            events: Sequence[stream_pb2.StreamEvent] = message.events
            return events
        # A call that fails without a message reads as an end: its status says why.
        call = self._call
        code, details = await call.code(), await call.details()
        failure = grpc.aio.AioRpcError(code, await call.initial_metadata(), await call.trailing_metadata(), details)
        raise chasqui_error(failure) from failure

    def cancel(self) -> None:
        """End the call; without effect if it has ended."""
        self._call.cancel()


class Upstream:
    """One channel to the chat server. `serving` says whether its health is good, as it last told us."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._chat: Any = chat_service_pb2_grpc.ChatServiceStub(self._channel)
        self._models: Any = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._health: Any = health_pb2_grpc.HealthStub(self._channel)
        self.serving = False

    async def chat(self, request: chat_service_pb2.ChatRequest, options: CallOptions) -> chat_service_pb2.ChatResponse:
        """The whole answer; raises the server's error as a ChasquiError. Cancelling this cancels the call."""
        return await self._unary(self._chat.Chat, request, options)

    def stream_chat(self, request: chat_service_pb2.ChatRequest, options: CallOptions) -> ChatStream:
        """A streamed call, owned by whoever starts it: it is to be cancelled at the end."""
        streamed = chat_service_pb2.StreamChatRequest(chat=request)
        return ChatStream(self._chat.StreamChat(streamed, metadata=options.metadata))

    async def list_models(self, options: CallOptions) -> model_service_pb2.ListModelsResponse:
        """All models; raises the server's error as a ChasquiError."""
        return await self._unary(self._models.ListModels, model_service_pb2.ListModelsRequest(), options)

    async def get_model(self, name: str, options: CallOptions) -> model_service_pb2.GetModelResponse:
        """One model; raises the server's error as a ChasquiError."""
        return await self._unary(self._models.GetModel, model_service_pb2.GetModelRequest(id=name), options)

    async def watch_health(self) -> None:
        """Keep `serving` up to date until cancelled."""
        request = health_pb2.HealthCheckRequest(service=_CHAT_SERVICE)
        while True:
            try:
                async for response in self._health.Watch(request):
                    self.serving = response.status == health_pb2.HealthCheckResponse.SERVING
            except grpc.aio.AioRpcError as error:
                log.debug("the chat server cannot be watched: %s", error.details())
            self.serving = False
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def _unary(
        self, method: Callable[..., Awaitable[Response]], request: object, options: CallOptions
    ) -> Response:
        try:
            return await method(request, metadata=options.metadata)
        except grpc.aio.AioRpcError as error:
            raise chasqui_error(error) from error


def chasqui_error(error: grpc.aio.AioRpcError) -> ChasquiError:
    """The server's error, or what a failed connection means to the caller."""
    code = Code.__members__.get(error.code().name, Code.INTERNAL)
    status = rpc_status.from_call(error)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details if status is not None else ():
        for known in (info, retry):
            if detail.Is(known.DESCRIPTOR):
                detail.Unpack(known)
    if not info.reason:
        # Not the server's own words, but those of the RPC library.
        if code is Code.UNAVAILABLE:
            return Unavailable("The chat server cannot be reached.", reason="UPSTREAM_UNAVAILABLE", retry_after=1.0)
        log.error("the chat server answered %s: %s", code.name, error.details())
        return ChasquiError("The chat server failed; the operator's log says why.")
    retry_after = retry.retry_delay.ToTimedelta().total_seconds() or None
    return UpstreamError(
        code, error.details() or "", reason=info.reason, param=info.metadata.get("param"), retry_after=retry_after
    )
