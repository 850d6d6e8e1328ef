"""The span and the status of an RPC, for every way in which it can end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, StatusCode

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc, model_service_pb2, model_service_pb2_grpc
from services.chat.transport.authentication import Authentication
from services.chat.transport.interceptors import AuthenticationInterceptor, CallInterceptor
from services.errors import InvalidValue
from services.telemetry.rpc import RpcObserver
from services.telemetry.spans import Spans

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

    from services.telemetry.spans import SpanData, SpanRecord

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = ("traceparent", f"00-{TRACE}-b7ad6b7169203331-01")
KEY = ("authorization", "Bearer key")


class FakeChat(chat_service_pb2_grpc.ChatServiceServicer):
    """Ends as the request's model says: "fine", "refused", "broken" or "endless"."""

    def __init__(self) -> None:
        self.running = asyncio.Event()

    async def Chat(self, request: chat_service_pb2.ChatRequest, _: Any) -> chat_service_pb2.ChatResponse:  # noqa: N802
        await self._end(request.model)
        return chat_service_pb2.ChatResponse(id="fine")

    async def StreamChat(self, request: chat_service_pb2.StreamChatRequest, context: Any) -> None:  # type: ignore[override] # noqa: N802
        await context.write(chat_service_pb2.StreamChatResponse())
        await self._end(request.chat.model)

    async def _end(self, how: str) -> None:
        self.running.set()
        if how == "refused":
            raise InvalidValue("model is wrong.", param="model")
        if how == "broken":
            raise RuntimeError("a secret of the inside")
        if how == "endless":
            await asyncio.Event().wait()


class EndedSpans(SpanProcessor):
    """Keeps the spans that have ended."""

    def __init__(self) -> None:
        self.spans: list[tuple[SpanContext, SpanData]] = []

    def on_end(self, span: ReadableSpan) -> None:
        record = cast("SpanRecord", span)
        self.spans += [(record.context, data) for data in record.spans()]


class Rig:
    """A server with both interceptors, a channel to it, and the spans that it ends."""

    def __init__(self, channel: grpc.aio.Channel, chat: FakeChat, ended: EndedSpans) -> None:
        self.stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
        self.models: Any = model_service_pb2_grpc.ModelServiceStub(channel)
        self.chat = chat
        self.ended = ended

    def span(self) -> SpanData:
        """The one span that was ended."""
        [(_, span)] = self.ended.spans
        return span


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    ended = EndedSpans()
    spans = Spans(ALWAYS_ON, ended)
    chat = FakeChat()
    server = grpc.aio.server(
        interceptors=[CallInterceptor(RpcObserver(spans)), AuthenticationInterceptor(Authentication("key"))]
    )
    chat_service_pb2_grpc.add_ChatServiceServicer_to_server(chat, server)
    address = f"unix:{tmp_path}/server.sock"
    server.add_insecure_port(address)
    await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        yield Rig(channel, chat, ended)
    await server.stop(None)


def request(how: str) -> chat_service_pb2.ChatRequest:
    return chat_service_pb2.ChatRequest(model=how, messages=[chat_pb2.Message(role=chat_pb2.ROLE_USER)])


async def test_a_call_is_one_server_span_that_continues_the_callers_trace(rig: Rig) -> None:
    await rig.stub.Chat(request("fine"), metadata=[KEY, PARENT])
    [(context, span)] = rig.ended.spans
    assert trace.format_trace_id(context.trace_id) == TRACE
    assert span.name == "chasqui.v1.ChatService/Chat"
    assert span.kind is SpanKind.SERVER
    assert trace.format_span_id(span.parent_id) == "b7ad6b7169203331"
    assert span.has_remote_parent
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["rpc.response.status_code"] == "OK"


async def test_a_call_without_a_trace_begins_one(rig: Rig) -> None:
    await rig.stub.Chat(request("fine"), metadata=[KEY])
    assert rig.span().parent_id == 0


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "streamed"])
@pytest.mark.parametrize(
    ("how", "code"),
    [("refused", grpc.StatusCode.INVALID_ARGUMENT), ("broken", grpc.StatusCode.INTERNAL)],
)
async def test_a_failure_reaches_the_span_and_to_the_caller(
    rig: Rig, how: str, code: grpc.StatusCode, stream: bool
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        if stream:
            streamed = chat_service_pb2.StreamChatRequest(chat=request(how))
            _ = [message async for message in rig.stub.StreamChat(streamed, metadata=[KEY])]
        else:
            await rig.stub.Chat(request(how), metadata=[KEY])
    assert raised.value.code() is code
    assert "secret" not in (raised.value.details() or "")
    span = rig.span()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["rpc.response.status_code"] == code.name


async def test_a_cancelled_call_ends_its_span_as_cancelled(rig: Rig) -> None:
    call = rig.stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=request("endless")), metadata=[KEY])
    await rig.chat.running.wait()
    call.cancel()
    while not rig.ended.spans:  # noqa: ASYNC110 - the span ends in the server, with nothing to await
        await asyncio.sleep(0.01)
    span = rig.span()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "CANCELLED")


async def test_a_call_without_a_key_never_reaches_its_handler_and_has_a_span(rig: Rig) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await rig.stub.Chat(request("fine"))
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert not rig.chat.running.is_set()
    assert rig.span().status.status_code is StatusCode.ERROR


async def test_a_method_that_is_not_served_is_unimplemented(rig: Rig) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await rig.models.ListModels(model_service_pb2.ListModelsRequest(), metadata=[KEY])
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("given", "kept"), [("a.b_c-d:9", True), ("x" * 128, True), ("x" * 129, False), ("two words", False), ("", False)]
)
async def test_a_request_id_is_kept_if_it_is_safe_and_always_returned(rig: Rig, given: str, kept: bool) -> None:
    call = rig.stub.Chat(request("fine"), metadata=[KEY, ("x-request-id", given)])
    await call
    returned = dict(await call.trailing_metadata())["x-request-id"]
    assert (returned == given) is kept
    assert returned
