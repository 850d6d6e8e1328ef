"""The server's end of the Relay: the calls of one edge worker come in on one stream, and their events leave on it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc

from chasqui.v1 import relay_service_pb2, relay_service_pb2_grpc
from services.chat.answer.fold import fold_response
from services.chat.answer.outbox import Outbox
from services.chat.transport.time_limit import seconds_of
from services.errors import Cancelled, ChasquiError
from services.telemetry.call import current_call

if TYPE_CHECKING:
    from chasqui.v1 import stream_pb2
    from services.chat.pipeline import ChatPipeline
    from services.chat.transport.authentication import Authentication
    from services.telemetry.rpc import RpcObserver

    Context = grpc.aio.ServicerContext[Any, Any]

log = logging.getLogger(__name__)

# Characters of text after which a message is full: one that is larger keeps the others of its stream waiting.
_FULL: Final = 256 * 1024
# The methods that the same calls would have without an edge.
_STREAMED: Final = "/chasqui.v1.ChatService/StreamChat"
_UNSTREAMED: Final = "/chasqui.v1.ChatService/Chat"


@dataclass(slots=True)
class RelayTraffic:
    """What all streams together have sent so far: entries for calls, and the messages that carried them."""

    messages: int = 0
    entries: int = 0


class RelayServicer(relay_service_pb2_grpc.RelayServiceServicer):
    """Serves edge workers. One that lets a message lie for `reader_timeout` seconds is cut off with all its calls."""

    def __init__(
        self, pipeline: ChatPipeline, authentication: Authentication, observer: RpcObserver, reader_timeout: float
    ) -> None:
        self.traffic = RelayTraffic()
        self._pipeline = pipeline
        self._authentication = authentication
        self._observer = observer
        self._reader_timeout = reader_timeout
        self._sessions: set[_Session] = set()

    async def Relay(self, _: object, context: Context) -> None:  # type: ignore[override]  # noqa: N802 - the contract's name, and grpc.aio takes coroutines that read and write
        """Run a worker's stream until it half-closes, breaks, or `close` is called."""
        session = _Session(
            self._pipeline, self._authentication, self._observer, self.traffic, context, self._reader_timeout
        )
        self._sessions.add(session)
        try:
            # The worker takes the headers as the sign that it is connected.
            await context.send_initial_metadata(())
            await session.run()
        except* TimeoutError:
            log.warning("an edge worker reads nothing and is cut off")
        except* grpc.aio.BaseError:
            pass  # the stream is broken, or its status has been sent
        finally:
            self._sessions.discard(session)

    def close(self) -> None:
        """End every stream once its last call has ended; to be called when no new calls are accepted."""
        for session in self._sessions:
            session.close()


class _Session:
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
        self._ready: list[_RelayedOutbox] = []
        self._wake = asyncio.Event()
        self._over = False  # nothing is read any more, and the last call has ended
        self._reader: asyncio.Task[None]

    async def run(self) -> None:
        """Serve until the stream half-closes or breaks; an ExceptionGroup says why it cannot go on."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write())
            self._reader = tasks.create_task(self._read(tasks))
            await asyncio.wait([self._reader])
            while self._calls:
                await asyncio.wait(self._calls.values())
            self._over = True
            self._wake.set()

    def close(self) -> None:
        """Read no more, and end when the last call has."""
        self._reader.cancel()

    def ready(self, outbox: _RelayedOutbox) -> None:
        """An outbox has something to send."""
        if not self._ready:
            self._wake.set()
        self._ready.append(outbox)

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        while (message := await self._context.read()) is not grpc.aio.EOF:
            for submit in message.submits:
                if submit.call_id <= self._last_id:
                    await self._context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The ids of calls must increase.")
                self._last_id = submit.call_id
                self._calls[submit.call_id] = tasks.create_task(self._serve(submit))
            for call_id in message.cancels:
                if call_id in self._calls:
                    self._calls[call_id].cancel()

    async def _serve(self, submit: relay_service_pb2.Submit) -> None:
        """Accept a call and own it until it has ended."""
        outbox = _RelayedOutbox(self, submit.call_id, streamed=submit.streamed)
        try:
            method = _STREAMED if submit.streamed else _UNSTREAMED
            await self._observer.observe(method, _metadata(submit), lambda: self._answer(submit, outbox))
        except ChasquiError as error:
            # The outbox keeps the error, and its traceback the frames with this request and outbox: a circle, which may
            # hold megabytes until the garbage collector looks at it.
            error.__traceback__ = error.__context__ = None
            outbox.fail(error)
        except asyncio.CancelledError:
            outbox.fail(Cancelled("The caller ended the call."))
        finally:
            del self._calls[submit.call_id]

    async def _answer(self, submit: relay_service_pb2.Submit, outbox: _RelayedOutbox) -> None:
        """Run the call; its failure is raised, so that the span hears of it."""
        self._authentication.check(submit.authorization or None)
        caller = self._authentication.caller(submit.authorization, submit.client_address)
        remaining = seconds_of(submit.request_timeout if submit.HasField("request_timeout") else None)
        call = await self._pipeline.start(submit.chat, current_call.get(), outbox, caller=caller, remaining=remaining)
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

    def _gather(self) -> relay_service_pb2.RelayResponse:
        """One message, of everything that is ready or as much as fills it."""
        ids: list[int] = []
        indexes: list[int] = []
        contents: list[str] = []
        tokens: list[int] = []
        calls: list[relay_service_pb2.CallProgress] = []
        size = taken = 0
        for outbox in self._ready:
            size += outbox.unread
            taken += 1
            if outbox.only_text:
                for index, content in outbox.collect_texts():
                    ids.append(outbox.call_id)
                    indexes.append(index)
                    contents.append(content)
                    tokens.append(outbox.tokens)
            else:
                calls.append(outbox.progress())
            if size > _FULL:
                break
        del self._ready[:taken]
        self._traffic.messages += 1
        self._traffic.entries += taken
        if not ids:
            return relay_service_pb2.RelayResponse(calls=calls)
        texts = relay_service_pb2.TextColumns(call_ids=ids, indexes=indexes, contents=contents, tokens=tokens)
        return relay_service_pb2.RelayResponse(calls=calls, texts=texts)


class _RelayedOutbox(Outbox):
    """The events of one call; `ended` is set when the last of them is inside."""

    def __init__(self, session: _Session, call_id: int, *, streamed: bool) -> None:
        self.ended = asyncio.Event()
        self.call_id = call_id
        super().__init__(streamed=streamed, on_ready=session.ready)

    def complete(self, completed: stream_pb2.Completed) -> None:
        """The end of the answer."""
        super().complete(completed)
        self.ended.set()

    def fail(self, error: ChasquiError) -> None:
        """End with an error, unless the call has ended."""
        if not self.ended.is_set():
            super().fail(error)
            self.ended.set()

    def progress(self) -> relay_service_pb2.CallProgress:
        """What has gathered, as one entry of a message."""
        progress = relay_service_pb2.CallProgress(call_id=self.call_id, tokens=self.tokens)
        events = self.collect()
        if self.streamed:
            progress.events.extend(events)
        elif self.failure is None:
            progress.response.CopyFrom(fold_response(events))
        if self.failure is not None:
            progress.failure.CopyFrom(failure_of(self.failure))
        return progress


def _metadata(submit: relay_service_pb2.Submit) -> dict[str, str]:
    """What a gRPC call would carry beside its request."""
    given = {
        "traceparent": submit.traceparent,
        "tracestate": submit.tracestate,
        "x-request-id": submit.request_id,
    }
    return {name: value for name, value in given.items() if value}


def failure_of(error: ChasquiError) -> relay_service_pb2.CallFailure:
    """An error as the Relay tells it; pure."""
    failure = relay_service_pb2.CallFailure(
        code=error.code.value, message=error.message, reason=error.reason, param=error.param
    )
    if error.retry_after is not None:
        failure.retry_after.FromMilliseconds(round(error.retry_after * 1000))
    return failure
