"""The server's end of the Relay, spoken to as an edge worker does, with real calls on a simulated engine."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc.status_pb2 import Status

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc, relay_service_pb2, relay_service_pb2_grpc
from edge.upstream.upstream_error import error_of_status
from services.chat.server import ChatServer
from services.engine.factory import build_engine
from services.errors import Code
from services.settings import Settings
from services.telemetry.spans import untraced
from tests.support.events import fold
from tests.support.gguf_files import write_gguf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from chasqui.v1 import stream_pb2
    from services.engine.api import Engine

MODEL = "chasqui-demo-simulated"


class Worker:
    """An edge worker that writes what a test asks for, and sorts what comes by call."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.messages = 0
        self.texts: dict[int, dict[int, str]] = {}
        self.kinds: dict[int, list[str]] = {}  # kinds of events by call, in their order
        self.events: dict[int, list[stream_pb2.StreamEvent]] = {}
        self.ends: dict[int, list[Any]] = {}  # Completed events and errors by call
        self.closing = False  # the server has said so
        self._last_id = 0

    async def submit(self, count: int = 1, **fields: Any) -> list[int]:
        """Begin calls; fields are a Submit's, those of `chat` over a short greeting."""
        chat = chat_request(**fields.pop("chat", {}))
        ids = range(self._last_id + 1, self._last_id + count + 1)
        self._last_id = ids[-1]
        given = {"chat": chat.SerializeToString(), "streamed": True, **fields}
        submits = [relay_service_pb2.Submit(**{"call_id": i, **given}) for i in ids]
        await self.stream.write(relay_service_pb2.RelayRequest(submits=submits))
        return list(ids)

    async def cancel(self, *ids: int) -> None:
        await self.stream.write(relay_service_pb2.RelayRequest(cancels=ids))

    async def read(self) -> bool:
        """Take in one message; False at the end of the stream."""
        message = await self.stream.read()
        if message is grpc.aio.EOF:
            return False
        self.messages += 1
        texts = message.texts
        for call_id, index, content in zip(texts.call_ids, texts.indexes, texts.contents, strict=True):
            assert content
            self._text(call_id, index, content)
        for progress in message.calls:
            self._progress(progress)
        self.closing |= message.closing
        return True

    async def read_until_ended(self, ids: list[int]) -> None:
        """Take in messages until each of the calls has had an end."""
        while not all(call_id in self.ends for call_id in ids):
            assert await self.read()

    def _text(self, call_id: int, index: int, content: str) -> None:
        assert call_id not in self.ends
        texts = self.texts.setdefault(call_id, {})
        texts[index] = texts.get(index, "") + content
        self.kinds.setdefault(call_id, []).append("delta")

    def _progress(self, progress: relay_service_pb2.CallProgress) -> None:
        assert progress.call_id not in self.ends
        for event in progress.events:
            kind = event.WhichOneof("event")
            assert kind is not None
            if kind == "delta":
                self._text(progress.call_id, event.delta.index, event.delta.content)
            else:
                self.kinds.setdefault(progress.call_id, []).append(kind)
            self.events.setdefault(progress.call_id, []).append(event)
            if kind == "completed":
                self.ends.setdefault(progress.call_id, []).append(event.completed)
        if progress.HasField("status"):
            error = error_of_status(Status.FromString(progress.status))
            self.ends.setdefault(progress.call_id, []).append(error)


def chat_request(**fields: Any) -> chat_service_pb2.ChatRequest:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    length = {"max_tokens": 40, "ignore_eos": True}  # however the model's tokenizer cuts the text
    return chat_service_pb2.ChatRequest(**{"model": MODEL, "messages": [message], **length, **fields})


class Rig:
    """A chat server, and what a test needs to look at it from outside."""

    def __init__(self, server: ChatServer, engine: Engine, address: str, public: str) -> None:
        self.server = server
        self.engine = engine
        self._address = address
        self._public = public

    @asynccontextmanager
    async def worker(self, *options: tuple[str, int]) -> AsyncIterator[Worker]:
        async with grpc.aio.insecure_channel(self._address, options) as channel:
            stub: Any = relay_service_pb2_grpc.RelayServiceStub(channel)
            stream = stub.Relay()
            await stream.wait_for_connection()
            yield Worker(stream)

    async def answer_over_grpc(self, **fields: Any) -> chat_service_pb2.ChatResponse:
        async with grpc.aio.insecure_channel(self._public) as channel:
            stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
            response: chat_service_pb2.ChatResponse = await stub.Chat(chat_request(**fields))
            return response

    async def idle(self) -> None:
        """Wait until the engine has nothing left to do."""
        while (beat := self.engine.heartbeat()).running or beat.queued:  # noqa: ASYNC110 - it has nothing to await
            await asyncio.sleep(0.001)


@asynccontextmanager
async def serving(directory: Path, **settings: Any) -> AsyncIterator[Rig]:
    values = {"engine": "simulated", "parallel": 128, "simulated_rate": 0.0, "drain_delay": 0.0, **settings}
    given = Settings(**values)
    engine = build_engine(given)
    await engine.start()
    server = ChatServer(engine, given, untraced())
    address, public = f"unix:{directory}/relay.sock", f"unix:{directory}/server.sock"
    await server.start(public, address)
    rig = Rig(server, engine, address, public)
    try:
        yield rig
    finally:
        await server.stop()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with serving(tmp_path) as rig:
        yield rig


async def test_a_streamed_call_is_started_then_its_text_then_its_end(rig: Rig) -> None:
    async with rig.worker() as worker:
        (call,) = await worker.submit()
        await worker.read_until_ended([call])
    kinds = worker.kinds[call]
    assert (kinds[0], kinds[-2:], set(kinds[1:-2])) == ("started", ["finish", "completed"], {"delta"})
    assert worker.ends[call][0].usage.completion_tokens == 40


async def test_an_unstreamed_call_is_one_response(rig: Rig) -> None:
    async with rig.worker() as worker:
        (call,) = await worker.submit(streamed=False)
        await worker.read_until_ended([call])
        assert worker.messages == 1
    response = fold(worker.events[call])
    expected = await rig.answer_over_grpc()
    assert response.choices == expected.choices
    assert response.usage == expected.usage


async def test_calls_share_messages_and_each_gets_its_own_answer_whole(rig: Rig) -> None:
    expected = await rig.answer_over_grpc(n=2)
    async with rig.worker() as worker:
        calls = await worker.submit(50, chat={"n": 2})
        await worker.read_until_ended(calls)
    assert worker.messages < 50 * 40
    for call in calls:
        assert len(worker.ends[call]) == 1
        assert worker.texts[call] == {choice.index: choice.message.content[0].text for choice in expected.choices}


async def test_a_refusal_ends_its_call_alone(rig: Rig) -> None:
    async with rig.worker() as worker:
        (fine,) = await worker.submit()
        (unknown,) = await worker.submit(chat={"model": "gpt-9"})
        (late,) = await worker.submit(metadata={"x-request-timeout": "soon"})
        (empty,) = await worker.submit(chat={"messages": []})
        await worker.read_until_ended([fine, unknown, late, empty])
    failures = [worker.ends[call][0] for call in (unknown, late, empty)]
    assert [(failure.code, failure.reason, failure.param) for failure in failures] == [
        (Code.NOT_FOUND, "MODEL_NOT_FOUND", "model"),
        (Code.INVALID_ARGUMENT, "INVALID_VALUE", "x-request-timeout"),
        (Code.INVALID_ARGUMENT, "INVALID_VALUE", "messages"),
    ]
    assert worker.ends[fine][0].usage.completion_tokens == 40


async def test_each_call_needs_a_key_of_its_own(tmp_path: Path) -> None:
    async with serving(tmp_path, api_keys="secret") as rig, rig.worker() as worker:
        (keyless,) = await worker.submit()
        (known,) = await worker.submit(metadata={"authorization": "Bearer secret"})
        await worker.read_until_ended([keyless, known])
    assert worker.ends[keyless][0].reason == "INVALID_API_KEY"
    assert worker.ends[known][0].usage.completion_tokens == 40


async def test_a_full_server_says_when_to_try_again(tmp_path: Path) -> None:
    async with serving(tmp_path, parallel=1, max_queue=0, simulated_rate=5.0) as rig, rig.worker() as worker:
        (first,) = await worker.submit(chat={"max_tokens": 4000})
        while first not in worker.kinds:
            assert await worker.read()
        (second,) = await worker.submit()
        await worker.read_until_ended([second])
        await worker.cancel(first)
        await worker.read_until_ended([first])
    failure = worker.ends[second][0]
    assert (failure.reason, failure.retry_after is not None) == ("OVERLOADED", True)


async def test_a_cancelled_call_ends_once_and_frees_the_engine(tmp_path: Path) -> None:
    async with serving(tmp_path, simulated_rate=20.0) as rig, rig.worker() as worker:
        calls = await worker.submit(2, chat={"max_tokens": 4000})
        while worker.texts.keys() != set(calls):
            assert await worker.read()
        await worker.cancel(calls[0], calls[0], 99)
        await worker.cancel(calls[0])
        await worker.read_until_ended(calls[:1])
        assert rig.engine.heartbeat().running == 1
        await worker.cancel(calls[1])
        await worker.read_until_ended(calls)
        await rig.idle()
    assert [end.reason for call in calls for end in worker.ends[call]] == ["CANCELLED", "CANCELLED"]


async def test_a_passed_deadline_ends_the_call_after_what_it_has_said(tmp_path: Path) -> None:
    seconds = 0.1
    async with serving(tmp_path, simulated_rate=50.0) as rig, rig.worker() as worker:
        while not worker.texts:  # a slow machine may need more time for a token
            (call,) = await worker.submit(chat={"max_tokens": 4000}, metadata={"x-request-timeout": f"{seconds}"})
            await worker.read_until_ended([call])
            await rig.idle()
            assert worker.ends[call][0].reason == "DEADLINE_EXCEEDED"
            seconds *= 2
    assert worker.texts[call][0]


async def test_cancels_that_race_with_tokens_leave_every_call_with_exactly_one_end(rig: Rig) -> None:
    chance = random.Random(1)  # noqa: S311 - repeatable, guards nothing
    async with rig.worker() as worker:
        for _ in range(20):
            calls = await worker.submit(20)
            wanted = worker.messages + chance.randrange(12)
            while worker.messages < wanted and not all(call in worker.ends for call in calls):
                await worker.read()
            await worker.cancel(*chance.sample(calls, 10))
            await worker.read_until_ended(calls)
        await rig.idle()
        # An end that was sent twice would come before this one.
        (last,) = await worker.submit()
        await worker.read_until_ended([last])
    assert {len(ends) for ends in worker.ends.values()} == {1}
    assert len(worker.ends) == 401
    kinds = {"completed" if hasattr(end, "usage") else end.reason for ends in worker.ends.values() for end in ends}
    assert kinds == {"completed", "CANCELLED"}


async def test_a_worker_that_dies_frees_the_engine(tmp_path: Path) -> None:
    async with serving(tmp_path, simulated_rate=20.0) as rig:
        async with rig.worker() as worker:
            calls = await worker.submit(5, chat={"max_tokens": 4000})
            while worker.texts.keys() != set(calls):
                assert await worker.read()
            assert rig.engine.heartbeat().running == 5
        await rig.idle()


async def test_a_worker_that_half_closes_gets_the_answers_that_it_waits_for(rig: Rig) -> None:
    async with rig.worker() as worker:
        calls = await worker.submit(5)
        await worker.stream.done_writing()
        while await worker.read():
            pass
        assert await worker.stream.code() is grpc.StatusCode.OK
    assert sorted(worker.ends) == calls


async def test_a_server_that_stops_finishes_the_calls_refuses_those_on_their_way_and_ends_the_stream(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, simulated_rate=100.0) as rig, rig.worker() as worker:
        calls = await worker.submit(5)
        while worker.kinds.keys() != set(calls):
            assert await worker.read()
        stopping = asyncio.create_task(rig.server.stop())
        while not worker.closing:
            assert await worker.read()
        assert [worker.ends[call][0].usage.completion_tokens for call in calls] == [40] * 5
        (late,) = await worker.submit()
        await worker.stream.done_writing()
        while await worker.read():
            pass
        await stopping
        assert await worker.stream.code() is grpc.StatusCode.OK
    assert [(error.reason, error.not_admitted) for error in worker.ends[late]] == [("DRAINING", True)]


async def test_a_worker_that_reads_nothing_is_cut_off_and_not_as_if_its_calls_had_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = [f"{number}{'x' * 1000}" for number in range(1000)]
    model = write_gguf(tmp_path / "long.gguf", words=words, llama__context_length=1_000_000)
    settings = {"model": str(model), "context_length": 1_000_000, "simulated_rate": 100.0, "reader_timeout": 0.2}
    async with serving(tmp_path, **settings) as rig, rig.worker(("grpc.http2.bdp_probe", 0)) as worker:
        await worker.submit(chat={"model": "tiny-simulated", "n": 4, "max_tokens": 200_000})
        while "is cut off" not in caplog.text:  # noqa: ASYNC110 - a log
            await asyncio.sleep(0.01)
        with pytest.raises(grpc.aio.AioRpcError) as cut_off:
            while await worker.read():
                pass
        await rig.idle()
    assert cut_off.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_an_id_that_was_used_before_breaks_the_stream(rig: Rig) -> None:
    async with rig.worker() as worker:
        await worker.submit(call_id=5)
        await worker.submit(call_id=5)
        with pytest.raises(grpc.aio.AioRpcError, match="must increase"):
            while await worker.read():
                pass
    await rig.idle()
