"""One worker's stream as the session sees it: calls whose answers a test writes, and a stream that it reads."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from chasqui.v1 import chat_service_pb2, relay_service_pb2, stream_pb2
from services.chat.transport.authentication import Authentication
from services.chat.transport.relay_session import FULL, RelaySession, RelayTraffic
from services.errors import EngineFailed
from services.telemetry.rpc import RpcObserver
from services.telemetry.spans import untraced
from tests.support.events import completed, finish

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.chat.answer.outbox import Outbox

TEXT = "a" * 20_000


@dataclass
class ScriptedCall:
    """An accepted call; it is known when it was closed."""

    closed: bool = False

    def close(self) -> None:
        self.closed = True


@dataclass
class ScriptedPipeline:
    """Accepts every call, and lets `answer` fill its outbox."""

    answer: Callable[[Outbox], None]
    calls: list[ScriptedCall] = field(default_factory=list)

    async def start(self, request: object, context: object, outbox: Outbox, **_: object) -> ScriptedCall:
        self.calls.append(ScriptedCall())
        self.answer(outbox)
        return self.calls[-1]


@dataclass
class ScriptedStream:
    """The stream's other end: what it sends is read in order, and what is written to it is kept."""

    requests: list[relay_service_pb2.RelayRequest]
    written: list[relay_service_pb2.RelayResponse] = field(default_factory=list)
    is_open: bool = False

    async def read(self) -> Any:
        while not self.requests and self.is_open:  # noqa: ASYNC110 - a list has nothing to await
            await asyncio.sleep(0.001)
        return self.requests.pop(0) if self.requests else grpc.aio.EOF

    async def write(self, message: relay_service_pb2.RelayResponse) -> None:
        await asyncio.sleep(0.001)
        self.written.append(message)


def session(stream: ScriptedStream, answer: Callable[[Outbox], None]) -> RelaySession:
    pipeline: Any = ScriptedPipeline(answer)
    context: Any = stream
    return RelaySession(pipeline, Authentication(""), RpcObserver(untraced()), RelayTraffic(), context, 60.0)


def submits(count: int) -> relay_service_pb2.RelayRequest:
    chat = chat_service_pb2.ChatRequest(model="demo").SerializeToString()
    calls = [relay_service_pb2.Submit(call_id=number, chat=chat, streamed=True) for number in range(1, count + 1)]
    return relay_service_pb2.RelayRequest(submits=calls)


def _answer(outbox: Outbox) -> None:
    outbox.add_text(0, TEXT)
    outbox.add_finish(0, finish().finish.finish_reason, None)
    outbox.complete(completed().completed)


async def test_answers_that_fill_a_message_leave_the_others_to_the_next() -> None:
    stream = ScriptedStream([submits(20)])
    await session(stream, _answer).run()
    assert max(message.ByteSize() for message in stream.written) <= FULL + len(TEXT) + 1000
    assert len(stream.written) < 20
    ended = [progress.call_id for message in stream.written for progress in message.calls]
    assert sorted(ended) == list(range(1, 21))


async def test_a_request_that_is_no_message_ends_its_call_alone() -> None:
    request = submits(2)
    request.submits[0].chat = b"\xff\xff"
    stream = ScriptedStream([request])
    await session(stream, _answer).run()
    failed = {p.call_id: p.HasField("status") for message in stream.written for p in message.calls}
    assert failed == {1: True, 2: False}


@pytest.mark.parametrize("runs", [False, True])
async def test_a_session_that_closes_says_so_once_and_answers_what_comes_until_its_worker_half_closes(
    runs: bool,
) -> None:
    stream = ScriptedStream([], is_open=True)
    closing = session(stream, _answer)
    running = asyncio.create_task(closing.run())
    if runs:
        await asyncio.sleep(0)
    closing.close()
    while not stream.written:  # noqa: ASYNC110 - a list has nothing to await
        await asyncio.sleep(0.001)
    stream.requests.append(submits(1))
    stream.is_open = False
    await asyncio.wait_for(running, 60)
    (said, *others) = stream.written
    assert said == relay_service_pb2.RelayResponse(closing=True)
    assert not any(message.closing for message in others)
    assert [progress.call_id for message in others for progress in message.calls] == [1]


async def test_echoes_of_any_size_make_no_message_larger_and_end_with_their_failures() -> None:
    echo = "e" * 1_000_000

    def answer(outbox: Outbox) -> None:
        outbox.start(stream_pb2.Started())
        outbox.add_echo(echo, n=4)
        outbox.fail(EngineFailed("broken"))

    stream = ScriptedStream([submits(5)])
    await session(stream, answer).run()
    assert max(message.ByteSize() for message in stream.written) <= 2 * FULL + 1000
    progress = [progress for message in stream.written for progress in message.calls]
    for call in range(1, 6):
        *before, last = [entry for entry in progress if entry.call_id == call]
        assert sum(len(event.delta.content) for entry in before for event in entry.events) == 4 * len(echo)
        assert [entry.HasField("status") for entry in (before[-1], last)] == [False, True]
