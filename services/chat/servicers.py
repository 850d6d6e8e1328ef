"""The RPCs of ChatService and ModelService: each asks the pipeline or the catalogue, and answers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from chasqui.v1 import chat_service_pb2, chat_service_pb2_grpc, model_service_pb2, model_service_pb2_grpc, stream_pb2
from services.chat.fold import fold_response
from services.errors import InvalidValue
from services.telemetry.call import current_call

if TYPE_CHECKING:
    import grpc

    from services.chat.call import ChatCall
    from services.chat.catalogue import Catalogue
    from services.chat.pipeline import ChatPipeline

    Context = grpc.aio.ServicerContext[Any, Any]


class ChatServicer(chat_service_pb2_grpc.ChatServiceServicer):
    """Chat over gRPC. Both RPCs own their call and close it however they end."""

    def __init__(self, pipeline: ChatPipeline) -> None:
        self._pipeline = pipeline

    async def Chat(  # noqa: N802 - the contract's name
        self, request: chat_service_pb2.ChatRequest, context: Context
    ) -> chat_service_pb2.ChatResponse:
        """Answer in one message."""
        call = await self._start(request, context, streamed=False)
        try:
            events = [stream_pb2.StreamEvent(started=call.started), *await call.outbox.take()]
            return fold_response(events)
        finally:
            call.close()
            _annotate(request, call)

    async def StreamChat(  # type: ignore[override]  # noqa: N802 - grpc.aio takes coroutines that write too
        self, request: chat_service_pb2.StreamChatRequest, context: Context
    ) -> None:
        """Answer in events. A coroutine that writes, not a generator: its `finally` runs when the RPC ends."""
        call = await self._start(request.chat, context, streamed=True)
        try:
            events = [stream_pb2.StreamEvent(started=call.started)]
            while True:
                await context.write(chat_service_pb2.StreamChatResponse(events=events))
                if events[-1].WhichOneof("event") == "completed":
                    return
                events = await call.outbox.take()
        finally:
            call.close()
            _annotate(request.chat, call)

    async def _start(self, request: chat_service_pb2.ChatRequest, context: Context, *, streamed: bool) -> ChatCall:
        return await self._pipeline.start(request, current_call.get(), remaining=_remaining(context), streamed=streamed)


class ModelServicer(model_service_pb2_grpc.ModelServiceServicer):
    """Descriptions of the model, and token counts."""

    def __init__(self, catalogue: Catalogue, pipeline: ChatPipeline) -> None:
        self._catalogue = catalogue
        self._pipeline = pipeline

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
        if kind == "text":
            tokens = await self._pipeline.text_tokens(request.text)
        else:
            tokens = await self._pipeline.chat_tokens(request.chat)
        return model_service_pb2.CountTokensResponse(
            count=len(tokens),
            tokens=tokens if request.include_tokens else None,
            context_length=model.context_length,
        )


def _remaining(context: Context) -> float | None:
    """The caller's time in seconds, None for no limit; InvalidValue if `x-request-timeout` is no duration.

    The header is for callers without `grpc-timeout`. The edge passes it on and sets no deadline of its own: gRPC would
    cut the call on both sides at that moment, and whether the caller reads why would be a matter of luck.
    """
    given = dict(context.invocation_metadata() or ()).get("x-request-timeout")
    limits = [context.time_remaining(), None if given is None else _seconds(str(given))]
    return min((limit for limit in limits if limit is not None), default=None)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InvalidValue(
            f"x-request-timeout is {text!r}, but must be a positive number of seconds.", param="x-request-timeout"
        )
    return seconds


def _annotate(request: chat_service_pb2.ChatRequest, call: ChatCall) -> None:
    """Tell the call's span what was asked and delivered, in OpenTelemetry's words for generative AI."""
    span = trace.get_current_span()
    if request.user:
        # Enough to tell users apart, too little to tell who they are.
        span.set_attribute("user.hash", hashlib.sha256(request.user.encode()).hexdigest()[:16])
    span.set_attributes(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": request.model,
            "gen_ai.response.model": call.started.model,
            "gen_ai.response.id": call.started.id,
            "gen_ai.response.finish_reasons": [reason for _, reason in sorted(call.finish_reasons.items())],
        }
    )
    # A call that was cut short is counted when the engine has let go of it; the log has its bill.
    if call.usage.total_tokens:
        span.set_attribute("gen_ai.usage.input_tokens", call.usage.prompt_tokens)
        span.set_attribute("gen_ai.usage.output_tokens", call.usage.completion_tokens)
