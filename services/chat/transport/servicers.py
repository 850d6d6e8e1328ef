"""The RPCs of ChatService, ModelService and AccountService."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from chasqui.v1 import (
    account_service_pb2,
    account_service_pb2_grpc,
    chat_service_pb2,
    chat_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
)
from services.chat.answer.outbox import AwaitedOutbox
from services.chat.transport.interceptors import metadata_of
from services.chat.transport.serialized_response import SerializedResponse
from services.chat.transport.time_limit import remaining_seconds
from services.errors import AnswerTooLarge, DeadlineExceeded, InvalidValue, SlowReader
from services.settings import MAX_MESSAGE_BYTES
from services.telemetry.call import current_call
from services.telemetry.server_timing import server_timing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import grpc

    from chasqui.v1 import chat_pb2
    from services.accounts.limiting.limiter import Limiter
    from services.chat.answer.call import ChatCall
    from services.chat.pipeline import ChatPipeline
    from services.chat.request.catalogue import Catalogue
    from services.chat.request.input_processor import InputProcessor
    from services.chat.transport.authentication import Authentication

    Context = grpc.aio.ServicerContext[Any, Any]


# Of the events that become one message: the message is smaller, but has a few bytes of its own for each choice.
MAX_ANSWER_BYTES: Final = MAX_MESSAGE_BYTES - 64 * 1024


class ChatServicer(chat_service_pb2_grpc.ChatServiceServicer):
    """Chat over gRPC. A caller that reads no message for `reader_timeout` seconds is cut off."""

    def __init__(self, pipeline: ChatPipeline, authentication: Authentication, reader_timeout: float) -> None:
        self._pipeline = pipeline
        self._authentication = authentication
        self._reader_timeout = reader_timeout

    async def Chat(  # type: ignore[override]  # noqa: N802 - the contract's name; the interceptor takes bytes, too
        self, request: chat_service_pb2.ChatRequest, context: Context
    ) -> bytes:
        """Answer in one message, serialized."""
        outbox = AwaitedOutbox(streamed=False)
        async with self._owned(request, context, outbox) as call:
            response = SerializedResponse()
            while not response.complete:
                for event in await outbox.take():
                    response.add(event)
                    if response.size > MAX_ANSWER_BYTES:
                        error = AnswerTooLarge(MAX_ANSWER_BYTES)
                        call.fail(error)
                        raise error
            _send_timings(context, response.timings)
            return response.data()

    async def StreamChat(  # type: ignore[override]  # noqa: N802 - grpc.aio takes coroutines that write too
        self, request: chat_service_pb2.StreamChatRequest, context: Context
    ) -> None:
        """Answer in events. A coroutine that writes, not a generator: its `finally` runs when the RPC ends."""
        outbox = AwaitedOutbox(streamed=True)
        async with self._owned(request.chat, context, outbox) as call:
            while True:
                events = await outbox.take()
                try:
                    async with asyncio.timeout(self._reader_timeout):
                        await context.write(chat_service_pb2.StreamChatResponse(events=events))
                except TimeoutError:
                    error = SlowReader()
                    call.fail(error)
                    raise error from None
                if events[-1].HasField("completed"):
                    _send_timings(context, events[-1].completed.timings)
                    return

    @asynccontextmanager
    async def _owned(
        self, request: chat_service_pb2.ChatRequest, context: Context, outbox: AwaitedOutbox
    ) -> AsyncIterator[ChatCall]:
        """An accepted call, closed at the end of the block however that comes."""
        metadata = metadata_of(context.invocation_metadata())
        caller = self._authentication.caller(metadata)
        remaining = remaining_seconds(metadata, context.time_remaining())
        call = await self._pipeline.start(request, current_call.get(), outbox, caller=caller, remaining=remaining)
        _add_metadata(context, call.rate_limits)
        try:
            yield call
        finally:
            call.close()


class ModelServicer(model_service_pb2_grpc.ModelServiceServicer):
    """Descriptions of the model, and token counts."""

    def __init__(
        self, catalogue: Catalogue, inputs: InputProcessor, authentication: Authentication, limiter: Limiter
    ) -> None:
        self._catalogue = catalogue
        self._inputs = inputs
        self._authentication = authentication
        self._limiter = limiter

    async def ListModels(  # noqa: N802 - the contract's name
        self, request: model_service_pb2.ListModelsRequest, context: Context
    ) -> model_service_pb2.ListModelsResponse:
        """The one model that this server has."""
        return model_service_pb2.ListModelsResponse(models=[self._catalogue.model])

    async def GetModel(  # noqa: N802 - the contract's name
        self, request: model_service_pb2.GetModelRequest, context: Context
    ) -> model_service_pb2.GetModelResponse:
        """The model of an id or alias."""
        return model_service_pb2.GetModelResponse(model=self._catalogue.resolve(request.id))

    async def CountTokens(  # noqa: N802 - the contract's name
        self, request: model_service_pb2.CountTokensRequest, context: Context
    ) -> model_service_pb2.CountTokensResponse:
        """Tokens of a text, or of a chat as it would be rendered."""
        model = self._catalogue.resolve(request.model)
        kind = request.WhichOneof("input")
        if kind is None:
            raise InvalidValue("Either text or chat must be given.", param="input")
        async with self._limited(context, request.model, model.id), _deadline(context):
            if kind == "text":
                tokens = await self._inputs.text_tokens(request.text, opened=request.add_special_tokens)
            else:
                tokens = await self._inputs.chat_tokens(request.chat)
            texts = await self._inputs.token_texts(tokens) if request.include_texts else None
        return model_service_pb2.CountTokensResponse(
            count=len(tokens),
            tokens=tokens if request.include_tokens else None,
            texts=texts,
            context_length=model.context_length,
        )

    async def Detokenize(  # noqa: N802 - the contract's name
        self, request: model_service_pb2.DetokenizeRequest, context: Context
    ) -> model_service_pb2.DetokenizeResponse:
        """The text of tokens."""
        model = self._catalogue.resolve(request.model)
        async with self._limited(context, request.model, model.id), _deadline(context):
            return model_service_pb2.DetokenizeResponse(text=await self._inputs.text_of(request.tokens))

    @asynccontextmanager
    async def _limited(self, context: Context, requested: str, served: str) -> AsyncIterator[None]:
        """Count the call among those of its key, which may use the model; its tokens do not count.

        Raises what `Limiter.admit` raises, and PermissionDenied.
        """
        caller = self._authentication.caller(metadata_of(context.invocation_metadata()))
        caller.check_model(requested, served)
        allowance = await self._limiter.admit(caller)
        _add_metadata(context, allowance.standing.headers())
        try:
            yield
        finally:
            allowance.settle()


class AccountServicer(account_service_pb2_grpc.AccountServiceServicer):
    """Whom calls are counted for."""

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    async def GetAccount(  # noqa: N802 - the contract's name
        self, request: account_service_pb2.GetAccountRequest, context: Context
    ) -> account_service_pb2.GetAccountResponse:
        """The account of the caller's key."""
        caller = self._authentication.caller(metadata_of(context.invocation_metadata()))
        return account_service_pb2.GetAccountResponse(account=caller.identity)


@asynccontextmanager
async def _deadline(context: Context) -> AsyncIterator[None]:
    """DeadlineExceeded if the block takes longer than the call may."""
    try:
        async with asyncio.timeout(
            remaining_seconds(metadata_of(context.invocation_metadata()), context.time_remaining())
        ):
            yield
    except TimeoutError:
        raise DeadlineExceeded("The deadline of the call passed.") from None


def _send_timings(context: Context, timings: chat_pb2.Timings) -> None:
    """Add the times to the trailing metadata, as HTTP's Server-Timing."""
    _add_metadata(context, {"server-timing": server_timing(timings)})


def _add_metadata(context: Context, fields: Mapping[str, str]) -> None:
    """Add to the trailing metadata."""
    context.set_trailing_metadata((*context.trailing_metadata(), *fields.items()))
