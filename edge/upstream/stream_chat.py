"""One RPC per call to the chat server, as any gRPC client makes them: expensive, one RPC message per token."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc

from chasqui.v1 import chat_service_pb2, chat_service_pb2_grpc
from edge.upstream.upstream_error import error_of_rpc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1 import stream_pb2
    from edge.http.call_options import CallOptions
    from edge.upstream.transport import EventSink


class StreamChat:
    """Calls over ChatService. Each RPC connects by itself, so `connected` is always true."""

    connected = True

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)

    def submit(self, request: chat_service_pb2.ChatRequest, options: CallOptions, *, streamed: bool) -> StreamChatCall:
        """Begin a call; the caller must cancel() it at the end."""
        asked = chat_service_pb2.StreamChatRequest(chat=request)
        return StreamChatCall(self._stub.StreamChat(asked, metadata=options.metadata))

    async def run(self) -> None:
        """Wait until cancelled: there is no connection of its own."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """No connection of its own."""


class StreamChatCall:
    """A call."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._first: Sequence[stream_pb2.StreamEvent] = ()

    async def started(self) -> stream_pb2.Started:
        """Wait until the server has accepted the call, and return that event; raises its refusal as a ChasquiError."""
        self._first = await self._read()
        return self._first[0].started

    async def forward(self, sink: EventSink) -> None:
        """Hand every event to `sink`, from Started to Completed.

        Raises the server's error as a ChasquiError once the events before it are delivered, or the error of `sink`.
        """
        events = self._first
        while True:
            sink.add_all(events)
            if events[-1].HasField("completed"):
                return
            events = await self._read()

    def cancel(self) -> None:
        """End the call; without effect if it has ended."""
        self._call.cancel()

    async def _read(self) -> Sequence[stream_pb2.StreamEvent]:
        """The next events, at least one; raises the server's error as a ChasquiError."""
        try:
            message = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise error_of_rpc(error) from error
        if message is not grpc.aio.EOF:
            events: Sequence[stream_pb2.StreamEvent] = message.events
            return events
        # A call that fails before its first message reads as EOF; its status says why.
        call = self._call
        code, details = await call.code(), await call.details()
        failure = grpc.aio.AioRpcError(code, await call.initial_metadata(), await call.trailing_metadata(), details)
        raise error_of_rpc(failure) from failure
