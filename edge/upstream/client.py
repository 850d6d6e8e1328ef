"""The edge's client of the chat server: calls carry the caller's credentials, deadline, trace and request id."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chasqui.v1 import (
    account_service_pb2,
    account_service_pb2_grpc,
    chat_service_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
    usage_service_pb2,
    usage_service_pb2_grpc,
)
from edge.upstream.channel import open_channel
from edge.upstream.interruptible_calls import InterruptibleCalls
from edge.upstream.relay import Relay
from edge.upstream.stream_chat import StreamChat
from edge.upstream.upstream_error import error_of_rpc

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edge.http.call_options import CallOptions
    from edge.upstream.transport import ChatStream, Transport

Response = TypeVar("Response")

log = logging.getLogger(__name__)

_CHAT_SERVICE: Final = chat_service_pb2.DESCRIPTOR.services_by_name["ChatService"].full_name
_RECONNECT_SECONDS = 0.2


class Upstream:
    """Chat calls over a transport, everything else over a channel of its own.

    `serving` is true while the server's last health status is SERVING.
    """

    def __init__(self, address: str, relay_address: str) -> None:
        """Addresses are `unix:PATH` or `HOST:PORT`; without one for the Relay, each call is an RPC."""
        self._channel = open_channel(address)
        self.transport: Transport = Relay(relay_address) if relay_address else StreamChat(self._channel)
        self._models: Any = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._usage: Any = usage_service_pb2_grpc.UsageServiceStub(self._channel)
        self._tokens: Any = token_service_pb2_grpc.TokenServiceStub(self._channel)
        self._accounts: Any = account_service_pb2_grpc.AccountServiceStub(self._channel)
        self._health: Any = health_pb2_grpc.HealthStub(self._channel)
        self.calls = InterruptibleCalls()
        self.serving = False

    @property
    def ready(self) -> bool:
        """Whether calls get through."""
        return self.serving and self.transport.connected

    def submit(self, request: chat_service_pb2.ChatRequest, options: CallOptions, *, streamed: bool) -> ChatStream:
        """Begin a call; the caller must cancel() it at the end."""
        return self.transport.submit(request, options, streamed=streamed)

    async def list_models(self, options: CallOptions) -> model_service_pb2.ListModelsResponse:
        """All models; raises the server's error as a ChasquiError."""
        return await self._unary(self._models.ListModels, model_service_pb2.ListModelsRequest(), options)

    async def get_model(self, name: str, options: CallOptions) -> model_service_pb2.GetModelResponse:
        """One model; raises the server's error as a ChasquiError."""
        return await self._unary(self._models.GetModel, model_service_pb2.GetModelRequest(id=name), options)

    async def count_tokens(
        self, request: model_service_pb2.CountTokensRequest, options: CallOptions
    ) -> model_service_pb2.CountTokensResponse:
        """The tokens of a text; raises the server's error as a ChasquiError."""
        return await self._unary(self._models.CountTokens, request, options)

    async def detokenize(
        self, request: model_service_pb2.DetokenizeRequest, options: CallOptions
    ) -> model_service_pb2.DetokenizeResponse:
        """The text of tokens; raises the server's error as a ChasquiError."""
        return await self._unary(self._models.Detokenize, request, options)

    async def list_usage(
        self, request: usage_service_pb2.ListUsageRequest, options: CallOptions
    ) -> usage_service_pb2.ListUsageResponse:
        """What the caller has used; raises the server's error as a ChasquiError."""
        return await self._unary(self._usage.ListUsage, request, options)

    async def create_token(
        self, request: token_service_pb2.CreateTokenRequest, options: CallOptions
    ) -> token_service_pb2.CreateTokenResponse:
        """A scoped token of the caller's key; raises the server's error as a ChasquiError."""
        return await self._unary(self._tokens.CreateToken, request, options)

    async def get_token(self, token: str, options: CallOptions) -> token_service_pb2.GetTokenResponse:
        """What a scoped token of the caller's key is for; raises the server's error as a ChasquiError."""
        return await self._unary(self._tokens.GetToken, token_service_pb2.GetTokenRequest(token=token), options)

    async def account(self, options: CallOptions) -> str:
        """Whom the caller's calls are counted for; raises the server's error as a ChasquiError."""
        answer: account_service_pb2.GetAccountResponse = await self._unary(
            self._accounts.GetAccount, account_service_pb2.GetAccountRequest(), options
        )
        return answer.account

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
        """Close the connections."""
        await self.transport.close()
        await self._channel.close()

    async def _unary(
        self, method: Callable[..., Awaitable[Response]], request: object, options: CallOptions
    ) -> Response:
        try:
            return await method(request, metadata=options.metadata)
        except grpc.aio.AioRpcError as error:
            raise error_of_rpc(error) from error
