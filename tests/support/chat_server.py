"""A chat server whose answers are scripted: a real gRPC server on a unix socket, with fakes behind it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from chasqui.v1 import (
    account_service_pb2,
    account_service_pb2_grpc,
    chat_pb2,
    chat_service_pb2,
    chat_service_pb2_grpc,
    model_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
    relay_service_pb2,
    relay_service_pb2_grpc,
)
from services.chat.transport.status import abort, status_of
from services.errors import ChasquiError, ModelNotFound
from services.settings import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES
from tests.support import events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from chasqui.v1.stream_pb2 import StreamEvent

    Context = grpc.aio.ServicerContext[Any, Any]

CHAT_SERVICE = "chasqui.v1.ChatService"
# As the real server has them: it takes pings at any pace.
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.http2.max_ping_strikes", 0),
)


@dataclass(frozen=True, slots=True)
class ReceivedCall:
    """What reached the server: the request, its metadata, and the seconds left, None without a deadline."""

    request: chat_service_pb2.ChatRequest
    metadata: dict[str, str]
    remaining: float | None


@dataclass
class FakeChatService(chat_service_pb2_grpc.ChatServiceServicer):
    """Answers from its script, and remembers the calls.

    A streamed call gets `batches`, one message each, an unstreamed one on the Relay `response`. Before an unstreamed
    answer and after the batches stands `failure`; with `hangs` the call waits there until it is cancelled. With
    `unstreamed` a call of StreamChat gets `response`, too: over that road the edge does not say what it is for.
    """

    batches: Sequence[Sequence[StreamEvent]] = ((events.started(), events.finish(), events.completed()),)
    response: chat_service_pb2.ChatResponse = field(default_factory=lambda: events.response(events.choice("Hello!")))
    failure: ChasquiError | grpc.StatusCode | None = None
    hangs: bool = False
    unstreamed: bool = False
    calls: list[ReceivedCall] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def Chat(  # noqa: N802 - the contract's name
        self, request: chat_service_pb2.ChatRequest, context: Context
    ) -> chat_service_pb2.ChatResponse:
        """Refused: the edge does not call it, as its answer has a limit."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "The fake answers in streams.")

    async def StreamChat(  # type: ignore[override]  # noqa: N802 - grpc.aio takes coroutines that write too
        self, request: chat_service_pb2.StreamChatRequest, context: Context
    ) -> None:
        """Answer in events."""
        with self.noted(request.chat, _metadata(context), context.time_remaining()):
            if self.unstreamed:
                await self._fail_or_hang(context)
            for batch in [events.events_of(self.response)] if self.unstreamed else self.batches:
                await context.write(chat_service_pb2.StreamChatResponse(events=batch))
            await self._fail_or_hang(context)

    @contextmanager
    def noted(
        self, request: chat_service_pb2.ChatRequest, metadata: dict[str, str], remaining: float | None
    ) -> Iterator[None]:
        """Remember a call, and whether it is cancelled inside the block."""
        self.calls.append(ReceivedCall(request, metadata, remaining))
        self.begun.set()
        try:
            yield
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def _fail_or_hang(self, context: Context) -> None:
        if isinstance(self.failure, ChasquiError):
            await abort(context, self.failure)
        if self.failure is not None:
            await context.abort(self.failure, "words that are not for callers")
        if self.hangs:
            await asyncio.Event().wait()


class FakeRelayService(relay_service_pb2_grpc.RelayServiceServicer):
    """Plays the script of a FakeChatService to calls on the Relay; a failure that is a bare status breaks that."""

    def __init__(self, chat: FakeChatService) -> None:
        self._chat = chat
        self.cancels: list[int] = []
        self.sizes: list[int] = []  # of the messages that came, in bytes
        self.lost: list[relay_service_pb2.LostCall] = []
        self.half_closed = asyncio.Event()
        self.released = asyncio.Event()  # then calls that hang complete
        self._writing = asyncio.Lock()

    async def Relay(self, _: object, context: Context) -> None:  # type: ignore[override]  # noqa: N802 - the contract's name, and grpc.aio takes coroutines that read and write
        """Carry the calls of one edge."""
        self._context = context
        await context.send_initial_metadata(())
        calls: dict[int, asyncio.Task[None]] = {}
        try:
            await self._read(context, calls)
            self.half_closed.set()
            await asyncio.gather(*calls.values())
        finally:
            for task in calls.values():
                task.cancel()
            await asyncio.gather(*calls.values(), return_exceptions=True)

    async def close(self) -> None:
        """Have the edge half-close the stream, which then ends after the last call."""
        await self._write(self._context, relay_service_pb2.RelayResponse(closing=True))

    async def _read(self, context: Context, calls: dict[int, asyncio.Task[None]]) -> None:
        while (message := await context.read()) is not grpc.aio.EOF:
            self.sizes.append(message.ByteSize())
            self.lost += message.lost
            for submit in message.submits:
                calls[submit.call_id] = asyncio.create_task(self._serve(submit, context))
            for call_id in message.cancels:
                self.cancels.append(call_id)
                calls[call_id].cancel()

    async def _serve(self, submit: relay_service_pb2.Submit, context: Context) -> None:
        chat = self._chat
        request = chat_service_pb2.ChatRequest.FromString(submit.chat)
        with chat.noted(request, dict(submit.metadata), None):
            for batch in chat.batches if submit.streamed else ():
                await self._send(context, relay_service_pb2.CallProgress(call_id=submit.call_id, events=batch))
            if isinstance(chat.failure, ChasquiError):
                status = status_of(chat.failure).SerializeToString()
                await self._send(context, relay_service_pb2.CallProgress(call_id=submit.call_id, status=status))
            elif chat.failure is not None:
                await context.abort(chat.failure, "words that are not for callers")
            elif chat.hangs:
                await self.released.wait()
                await self._send(
                    context, relay_service_pb2.CallProgress(call_id=submit.call_id, events=[events.completed()])
                )
            elif not submit.streamed:
                answer = events.events_of(chat.response)
                await self._send(context, relay_service_pb2.CallProgress(call_id=submit.call_id, events=answer))

    async def _send(self, context: Context, progress: relay_service_pb2.CallProgress) -> None:
        """One message, with texts in columns where they can be, as the real server sends them."""
        message = relay_service_pb2.RelayResponse()
        if progress.events and all(_is_text(event) for event in progress.events):
            for event in progress.events:
                message.texts.call_ids.append(progress.call_id)
                message.texts.indexes.append(event.delta.index)
                message.texts.contents.append(event.delta.content)
                message.texts.tokens.append(1)
        else:
            message.calls.append(progress)
        # A call that is cancelled must not take the write with it: the stream would stand still for all calls.
        await asyncio.shield(self._write(context, message))

    async def _write(self, context: Context, message: relay_service_pb2.RelayResponse) -> None:
        async with self._writing:
            await context.write(message)


def _is_text(event: StreamEvent) -> bool:
    more = event.HasField("usage_so_far") or event.delta.tool_calls or event.delta.HasField("logprobs")
    return event.HasField("delta") and not more


def _metadata(context: Context) -> dict[str, str]:
    return {str(key): str(value) for key, value in context.invocation_metadata() or ()}


def demo_model(**changes: Any) -> model_pb2.Model:
    """A description in which every field is set, with `changes`."""
    fields: dict[str, Any] = {
        "id": events.MODEL,
        "aliases": ["meta-llama/Meta-Llama-3.1-8B-Instruct"],
        "created": Timestamp(seconds=events.CREATED),
        "owned_by": "chasqui",
        "context_length": 1024,
        "default_max_tokens": 256,
        "quantization": "Q8_0",
        "price": model_pb2.Price(
            usd_per_million_prompt_tokens=0.055,
            usd_per_million_cached_tokens=0.025,
            usd_per_million_completion_tokens=0.155,
        ),
        "tier_prices": [
            model_pb2.TierPrice(
                tier=chat_pb2.SERVICE_TIER_FLEX,
                price=model_pb2.Price(
                    usd_per_million_prompt_tokens=0.044,
                    usd_per_million_cached_tokens=0.02,
                    usd_per_million_completion_tokens=0.124,
                ),
            )
        ],
        "capabilities": model_pb2.Capabilities(
            parameters=["temperature", "seed"], tool_syntax="llama3_json", chat=True
        ),
        "limits": [
            model_pb2.ParameterLimit(parameter="temperature", minimum=0, maximum=2, default_value=1),
            model_pb2.ParameterLimit(parameter="top_k", minimum=-1, maximum=999, integer=True, default_value=0),
            model_pb2.ParameterLimit(parameter="top_p", maximum=1, exclusive_minimum=True, default_value=1),
            model_pb2.ParameterLimit(parameter="max_tokens", maximum=1_000_000, integer=True),
        ],
        "engine": "simulated",
        "system_fingerprint": events.FINGERPRINT,
    }
    return model_pb2.Model(**(fields | changes))


@dataclass
class FakeModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Describes `models`, and remembers the ids and the metadata that it was asked with."""

    models: list[model_pb2.Model] = field(default_factory=lambda: [demo_model()])
    ids: list[str] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)

    async def ListModels(  # noqa: N802 - the contract's name
        self, request: model_service_pb2.ListModelsRequest, context: Context
    ) -> model_service_pb2.ListModelsResponse:
        """All models."""
        self._note(context)
        return model_service_pb2.ListModelsResponse(models=self.models)

    async def GetModel(  # noqa: N802 - the contract's name
        self, request: model_service_pb2.GetModelRequest, context: Context
    ) -> model_service_pb2.GetModelResponse:
        """The model of an id or alias."""
        self._note(context)
        self.ids.append(request.id)
        found = next((model for model in self.models if request.id in (model.id, *model.aliases)), None)
        if found is None:
            await abort(context, ModelNotFound(f"There is no model {request.id!r}.", param="model"))
        return model_service_pb2.GetModelResponse(model=found)

    async def CountTokens(  # noqa: N802 - the contract's name
        self, request: model_service_pb2.CountTokensRequest, context: Context
    ) -> model_service_pb2.CountTokensResponse:
        """Refused: the fake has no tokeniser."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "The fake counts no tokens.")

    async def Detokenize(  # noqa: N802 - the contract's name
        self, request: model_service_pb2.DetokenizeRequest, context: Context
    ) -> model_service_pb2.DetokenizeResponse:
        """Refused, as CountTokens is."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "The fake has no tokens.")

    def _note(self, context: Context) -> None:
        self.metadata.append(_metadata(context))


class FakeAccountService(account_service_pb2_grpc.AccountServiceServicer):
    """Takes a caller's key for the name of its account."""

    async def GetAccount(  # noqa: N802 - the contract's name
        self, request: account_service_pb2.GetAccountRequest, context: Context
    ) -> account_service_pb2.GetAccountResponse:
        """The account."""
        key = _metadata(context).get("authorization", "").removeprefix("Bearer ")
        return account_service_pb2.GetAccountResponse(account=key)


class FakeChatServer:
    """The server with its services, the Relay beside the public ones, on a unix socket.

    `address` is as in the settings; the chat service is healthy at first.
    """

    def __init__(self, socket: Path) -> None:
        self.address = f"unix:{socket}"
        self.chat = FakeChatService()
        self.models = FakeModelService()
        self.relay = FakeRelayService(self.chat)
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(options=_OPTIONS)
        chat_service_pb2_grpc.add_ChatServiceServicer_to_server(self.chat, self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(self.models, self._server)
        relay_service_pb2_grpc.add_RelayServiceServicer_to_server(self.relay, self._server)
        account_service_pb2_grpc.add_AccountServiceServicer_to_server(FakeAccountService(), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._server.add_insecure_port(self.address)

    async def start(self) -> None:
        """Listen."""
        await self.set_health(serving=True)
        await self._server.start()

    async def set_health(self, *, serving: bool) -> None:
        """Notify all watchers."""
        statuses = health_pb2.HealthCheckResponse
        await self._health.set(CHAT_SERVICE, statuses.SERVING if serving else statuses.NOT_SERVING)

    async def stop(self) -> None:
        """End all calls and close the socket; without effect on a server that has stopped."""
        await self._server.stop(None)


@asynccontextmanager
async def running_chat_server(directory: Path, name: str = "chat.sock") -> AsyncIterator[FakeChatServer]:
    """A server that listens on a socket in `directory` until the block ends."""
    server = FakeChatServer(directory / name)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
