"""One edge worker's stream on the Relay: its calls, and the messages that carry their events."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import DecodeError

from chasqui.v1 import chat_service_pb2, relay_service_pb2
from services.chat.transport.relayed_outbox import RelayedOutbox
from services.chat.transport.time_limit import remaining_seconds
from services.errors import Cancelled, ChasquiError, InvalidValue
from services.telemetry.call import current_call

if TYPE_CHECKING:
    from services.chat.pipeline import ChatPipeline
    from services.chat.transport.authentication import Authentication
    from services.telemetry.rpc import RpcObserver

    Context = grpc.aio.ServicerContext[Any, Any]

log = logging.getLogger(__name__)

# Characters of unread text after which a message is full: a larger one delays the other calls of its stream.
FULL: Final = 64 * 1024
# The RPCs that the same calls would be without an edge.
_STREAMED: Final = "/chasqui.v1.ChatService/StreamChat"
_UNSTREAMED: Final = "/chasqui.v1.ChatService/Chat"


@dataclass(slots=True)
class RelayTraffic:
    """What all streams together have sent so far: entries of calls, and the messages that carried them."""

    messages: int = 0
    entries: int = 0


class _Submitted:
    """A call as it was submitted. The message that it came in, with its request, is freed without it."""

    __slots__ = ("_chat", "call_id", "metadata", "streamed")

    def __init__(self, submit: relay_service_pb2.Submit) -> None:
        self.call_id = submit.call_id
        self.streamed = submit.streamed
        self.metadata = dict(submit.metadata)
        self._chat = submit.chat

    def take_request(self) -> chat_service_pb2.ChatRequest:
        """The request, once: it may be megabytes, and is needed until the call has started. InvalidValue."""
        chat, self._chat = self._chat, b""
        try:
            return chat_service_pb2.ChatRequest.FromString(chat)
        except DecodeError as error:
            raise InvalidValue("The request is not a chasqui.v1.ChatRequest.") from error


class RelaySession:
    """One worker's stream: one task reads it, one writes it, and one per call waits for that call's end."""

    def __init__(
        self,
        pipeline: ChatPipeline,
        authentication: Authentication,
        observer: RpcObserver,
        traffic: RelayTraffic,
        context: Context,
        reader_timeout: float,
    ) -> None:
        self._pipeline = pipeline
        self._authentication = authentication
        self._observer = observer
        self._traffic = traffic
        self._context = context
        self._reader_timeout = reader_timeout
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._last_id = 0
        self._ready: list[RelayedOutbox] = []
        self._wake = asyncio.Event()
        self._over = False  # nothing is read any more, and the last call has ended
        self._must_say_closing = False

    async def run(self) -> None:
        """Serve until the stream half-closes or breaks; an ExceptionGroup says why it cannot go on."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write())
            await self._read(tasks)
            while self._calls:
                await asyncio.wait(self._calls.values())
            self._over = True
            self._wake.set()

    def close(self) -> None:
        """Have the worker half-close its stream, which then ends after the last call; may come before `run`."""
        self._must_say_closing = True
        self._wake.set()

    def _on_ready(self, outbox: RelayedOutbox) -> None:
        """An outbox has something to send."""
        if not self._ready:
            self._wake.set()
        self._ready.append(outbox)

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        while (message := await self._context.read()) is not grpc.aio.EOF:
            await self._take(message, tasks)
            del message  # not kept until the next one is there

    async def _take(self, message: relay_service_pb2.RelayRequest, tasks: asyncio.TaskGroup) -> None:
        for submit in message.submits:
            if submit.call_id <= self._last_id:
                await self._context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The ids of calls must increase.")
            self._last_id = submit.call_id
            self._calls[submit.call_id] = tasks.create_task(self._serve(_Submitted(submit)))
        for lost in message.lost:
            self._record_lost(lost)
        for call_id in message.cancels:
            if call_id in self._calls:
                self._calls[call_id].cancel()

    def _record_lost(self, lost: relay_service_pb2.LostCall) -> None:
        try:
            self._pipeline.record_lost(lost.started, lost.tokens, self._authentication.caller(lost.metadata))
        except ChasquiError as error:  # its key has been revoked meanwhile
            log.warning(
                "a lost call is not in the ledger", extra={"fields": {"call": lost.started.id, "why": str(error)}}
            )

    async def _serve(self, submit: _Submitted) -> None:
        """Accept a call and own it until it has ended."""
        outbox = RelayedOutbox(submit.call_id, streamed=submit.streamed, on_ready=self._on_ready)
        try:
            method = _STREAMED if submit.streamed else _UNSTREAMED
            await self._observer.observe(method, submit.metadata, lambda: self._answer(submit, outbox))
        except ChasquiError as error:
            # The outbox keeps the error, and its traceback the frames with this request and outbox: breaks that
            # reference cycle, which would keep megabytes until the garbage collector runs.
            error.__traceback__ = error.__context__ = None
            outbox.fail(error)
        except asyncio.CancelledError:
            outbox.fail(Cancelled("The caller ended the call."))
        finally:
            del self._calls[submit.call_id]

    async def _answer(self, submit: _Submitted, outbox: RelayedOutbox) -> None:
        """Run the call; its failure is raised, so that its span records it."""
        caller = self._authentication.relayed(submit.metadata)
        request = submit.take_request()
        remaining = remaining_seconds(submit.metadata)
        call = await self._pipeline.start(request, current_call.get(), outbox, caller=caller, remaining=remaining)
        del request
        try:
            await outbox.ended.wait()
            if outbox.failure is not None:
                raise outbox.failure
        finally:
            call.close()

    async def _write(self) -> None:
        """Send what has gathered whenever the last message has left; TimeoutError if that takes too long."""
        while self._ready or not self._over:
            await self._wake.wait()
            self._wake.clear()
            while self._ready:
                async with asyncio.timeout(self._reader_timeout):
                    await self._context.write(self._gather())
            if self._must_say_closing:
                self._must_say_closing = False
                await self._context.write(relay_service_pb2.RelayResponse(closing=True))

    def _gather(self) -> relay_service_pb2.RelayResponse:
        """One message, of everything that is ready or as much as fills it."""
        ids: list[int] = []
        indexes: list[int] = []
        contents: list[str] = []
        tokens: list[int] = []
        calls: list[relay_service_pb2.CallProgress] = []
        size = taken = 0
        for outbox in self._ready:
            taken += 1
            if outbox.only_text:
                size += outbox.unread
                for index, content in outbox.collect_texts():
                    ids.append(outbox.call_id)
                    indexes.append(index)
                    contents.append(content)
                    tokens.append(outbox.tokens)
            else:
                size += outbox.next_size
                calls.append(outbox.progress())
            if size > FULL:
                break
        del self._ready[:taken]
        self._traffic.messages += 1
        self._traffic.entries += taken
        if not ids:
            return relay_service_pb2.RelayResponse(calls=calls)
        texts = relay_service_pb2.TextColumns(call_ids=ids, indexes=indexes, contents=contents, tokens=tokens)
        return relay_service_pb2.RelayResponse(calls=calls, texts=texts)
