"""The edge's end of the Relay: all chat calls of a worker share one stream to the chat server."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import grpc

from chasqui.v1 import relay_service_pb2, relay_service_pb2_grpc
from edge.upstream.channel import open_channel
from edge.upstream.relayed_call import RelayedCall
from edge.upstream.upstream_error import not_connected, unreachable
from services.errors import InvalidValue
from services.settings import MAX_MESSAGE_BYTES
from services.tasks import awaited_task

if TYPE_CHECKING:
    from chasqui.v1 import chat_service_pb2
    from edge.http.call_options import CallOptions

log = logging.getLogger(__name__)

_RECONNECT_SECONDS: Final = 0.2
# Bytes of new calls after which a message is full: a larger one delays the cancels and calls behind it.
FULL: Final = 256 * 1024
# The server takes no larger message; one call beyond the first 256 KiB still fits.
_LARGEST_REQUEST: Final = MAX_MESSAGE_BYTES - 2 * FULL


class Relay:
    """One stream for all calls. When it breaks, its calls end with an error, and it is opened again."""

    def __init__(self, address: str) -> None:
        """`address` is `unix:PATH` or `HOST:PORT`."""
        self.connected = False
        self._channel = open_channel(address)
        self._stub: Any = relay_service_pb2_grpc.RelayServiceStub(self._channel)
        self._last_id = 0
        self._calls: dict[int, RelayedCall] = {}
        # What the writer has not sent yet.
        self._submits: dict[int, relay_service_pb2.Submit] = {}
        self._cancels: list[int] = []
        self._lost: list[relay_service_pb2.LostCall] = []
        self._wake = asyncio.Event()

    def submit(self, request: chat_service_pb2.ChatRequest, options: CallOptions, *, streamed: bool) -> RelayedCall:
        """Begin a call; the caller must cancel() it at the end. One that is not `streamed` comes in few events."""
        if not self.connected:
            raise not_connected()
        data = request.SerializeToString()
        if len(data) > _LARGEST_REQUEST:
            raise InvalidValue(f"The request is larger than {_LARGEST_REQUEST:,} bytes.")
        self._last_id += 1
        call_id = self._last_id
        metadata = dict(options.metadata)
        self._submits[call_id] = relay_service_pb2.Submit(
            call_id=call_id, chat=data, streamed=streamed, metadata=metadata
        )
        call = self._calls[call_id] = RelayedCall(metadata, partial(self._end, call_id), streamed=streamed)
        self._wake.set()
        return call

    async def run(self) -> None:
        """Keep the stream open until cancelled."""
        while True:
            stream = self._stub.Relay()
            try:
                await stream.wait_for_connection()
                self.connected = True
                await self._carry(stream)
                log.info("the chat server has ended the relay")
            except grpc.aio.AioRpcError as error:
                if self.connected or self._calls:
                    log.warning("the relay is broken: %s", error.details())
                    self._log_lost()
            finally:
                self.connected = False
                stream.cancel()
                self._fail_all()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    def _end(self, call_id: int, cancel: bool) -> None:
        """Forget a call; events that still arrive for it are dropped. `cancel` if the server has not ended it yet."""
        if self._calls.pop(call_id, None) is None or not cancel:
            return
        if self._submits.pop(call_id, None) is None:
            self._cancels.append(call_id)
            self._wake.set()

    async def _carry(self, stream: Any) -> None:
        """Send calls and deliver their progress until the stream ends; AioRpcError if it breaks."""
        reader = awaited_task(self._read(stream), "relay reader")
        writer = awaited_task(self._write(stream), "relay writer")
        try:
            await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
            if writer.done():
                await writer  # may have failed: new calls would wait for ever
            await reader
        finally:
            reader.cancel()
            writer.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)

    async def _read(self, stream: Any) -> None:
        calls = self._calls
        while (message := await stream.read()) is not grpc.aio.EOF:
            texts = message.texts
            columns = zip(texts.call_ids, texts.indexes, texts.contents, texts.tokens, strict=True)
            for call_id, index, content, tokens in columns:
                call = calls.get(call_id)
                if call is not None:
                    call.tokens = tokens
                    call.deliver_text(index, content)
            for progress in message.calls:
                call = calls.get(progress.call_id)
                if call is not None:
                    call.deliver(progress)
            if message.closing:
                self.connected = False
                self._wake.set()

    async def _write(self, stream: Any) -> None:
        """Send what has gathered whenever the last message has left; half-close when the server closes."""
        while self.connected:
            await self._wake.wait()
            self._wake.clear()
            while self._submits or self._cancels or self._lost:
                await stream.write(self._gather())
        # A write to a stream that the server has ended would lose what it had sent before.
        await stream.done_writing()

    def _gather(self) -> relay_service_pb2.RelayRequest:
        """One message: all cancels and lost calls, and the new calls that fit."""
        message = relay_service_pb2.RelayRequest(cancels=self._cancels, lost=self._lost)
        self._cancels.clear()
        self._lost.clear()
        size = 0
        while self._submits and size < FULL:
            submit = self._submits.pop(next(iter(self._submits)))
            size += submit.ByteSize()
            message.submits.append(submit)
        return message

    def _log_lost(self) -> None:
        """Log what was delivered of each call, for the ledger, too: a server that died has no usage records of them.

        If only the connection broke, the server has cancelled the calls and logged their usage, which counts.
        """
        for call in self._calls.values():
            fields = {
                "request_id": call.metadata.get("x-request-id", ""),
                "completion_tokens": call.tokens,
                "characters": call.characters,
            }
            log.warning("chat call lost", extra={"fields": fields})
            # Of the others the caller has nothing.
            if call.begun is not None and call.streamed:
                lost = relay_service_pb2.LostCall(metadata=call.metadata, started=call.begun, tokens=call.tokens)
                self._lost.append(lost)
                self._wake.set()

    def _fail_all(self) -> None:
        """End every call: the server has forgotten them, and those that were never sent may be sent elsewhere."""
        calls, unsent = self._calls, self._submits
        self._calls, self._submits = {}, {}
        self._cancels.clear()
        for call_id, call in calls.items():
            call.fail(not_connected() if call_id in unsent else unreachable())
