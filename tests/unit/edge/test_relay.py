"""The edge's end of the Relay, with a scripted server at the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2, relay_service_pb2, stream_pb2
from edge.http.call_options import CallOptions
from edge.upstream.relay import FULL, Relay
from edge.upstream.relayed_call import RelayedCall
from services.errors import ChasquiError, InvalidValue, SlowReader, Unavailable
from services.fold import ResponseFold
from services.settings import MAX_MESSAGE_BYTES
from tests.support import events
from tests.support.chat_server import FakeChatServer, running_chat_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

REQUEST = chat_service_pb2.ChatRequest(model="demo")
PLAIN = CallOptions(())


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeChatServer]:
    async with running_chat_server(tmp_path) as server:
        yield server


@pytest.fixture
async def relay(server: FakeChatServer) -> AsyncIterator[Relay]:
    relay = Relay(server.address)
    running = asyncio.create_task(relay.run())
    await is_connected(relay)
    yield relay
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await relay.close()


async def is_connected(relay: Relay, state: bool = True) -> None:
    while relay.connected is not state:  # noqa: ASYNC110 - it has nothing to await
        await asyncio.sleep(0.001)


class Recorder:
    """A sink that keeps what it gets, and raises `error` once it has `room` entries."""

    def __init__(self, room: int | None = None, error: Exception | None = None) -> None:
        self.events: list[Any] = []
        self._room = room
        self._error = error

    def add_text(self, index: int, content: str) -> None:
        self._add([(index, content)])

    def add_all(self, events: Sequence[stream_pb2.StreamEvent]) -> None:
        self._add(list(events))

    def _add(self, events: list[Any]) -> None:
        if self._error is not None and len(self.events) == self._room:
            raise self._error
        self.events += events


async def whole(
    relay: Relay, request: chat_service_pb2.ChatRequest, options: CallOptions
) -> chat_service_pb2.ChatResponse:
    """An unstreamed answer."""
    fold = ResponseFold()
    call = relay.submit(request, options, streamed=False)
    try:
        await call.started()
        await call.forward(fold)
    finally:
        call.cancel()
    return fold.response


async def read_all(call: Any) -> list[Any]:
    """Every event of a call, to its end."""
    sink = Recorder()
    await call.started()
    await call.forward(sink)
    return sink.events


async def test_what_travels_beside_a_request_arrives_as_fields(server: FakeChatServer, relay: Relay) -> None:
    metadata = {
        "authorization": "Bearer key",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "a=b",
        "x-request-id": "request-1",
        "x-request-timeout": "1000.5",
    }
    await whole(relay, REQUEST, CallOptions(tuple(metadata.items())))
    received = server.chat.calls[0].metadata
    assert 900 < float(received.pop("x-request-timeout")) < float(metadata.pop("x-request-timeout"))
    assert received == metadata
    assert server.chat.calls[0].request == REQUEST


async def test_events_of_a_call_come_in_their_order_with_texts_between_them(
    server: FakeChatServer, relay: Relay
) -> None:
    server.chat.batches = [
        [events.started()],
        [events.delta("a"), events.delta("x", 1)],
        [events.delta("b")],
        [events.finish(), events.finish(1), events.completed()],
    ]
    read = await read_all(relay.submit(REQUEST, PLAIN, streamed=True))
    assert read == [
        events.started(),
        (0, "a"),
        (1, "x"),
        (0, "b"),
        events.finish(),
        events.finish(1),
        events.completed(),
    ]


async def test_many_calls_at_once_get_their_own_events_and_ids_that_grow(server: FakeChatServer, relay: Relay) -> None:
    server.chat.batches = [[events.started()], [events.delta("a")], [events.finish(), events.completed()]]
    calls = [relay.submit(REQUEST, PLAIN, streamed=True) for _ in range(100)]
    answers = await asyncio.gather(*(read_all(call) for call in calls))
    assert answers == [[events.started(), (0, "a"), events.finish(), events.completed()]] * 100


async def test_a_cancel_reaches_the_server_once(server: FakeChatServer, relay: Relay) -> None:
    server.chat.hangs = True
    call = relay.submit(REQUEST, PLAIN, streamed=True)
    await server.chat.begun.wait()
    call.cancel()
    call.cancel()
    await server.chat.cancelled.wait()
    assert server.relay.cancels == [1]


async def test_a_call_that_is_cancelled_before_it_was_sent_is_never_sent(server: FakeChatServer, relay: Relay) -> None:
    relay.submit(REQUEST, PLAIN, streamed=True).cancel()
    await whole(relay, REQUEST, PLAIN)
    assert len(server.chat.calls) == 1
    assert server.relay.cancels == []


async def test_a_call_that_has_ended_is_not_cancelled(server: FakeChatServer, relay: Relay) -> None:
    ended = relay.submit(REQUEST, PLAIN, streamed=True)
    await read_all(ended)
    ended.cancel()
    await whole(relay, REQUEST, PLAIN)
    assert server.relay.cancels == []


async def test_giving_up_on_an_unstreamed_answer_cancels_it(server: FakeChatServer, relay: Relay) -> None:
    server.chat.hangs = True
    waiting = asyncio.create_task(whole(relay, REQUEST, PLAIN))
    await server.chat.begun.wait()
    waiting.cancel()
    await server.chat.cancelled.wait()


async def test_one_failing_call_leaves_the_stream_to_the_others(server: FakeChatServer, relay: Relay) -> None:
    server.chat.failure = InvalidValue("n is 9.", param="n")
    with pytest.raises(ChasquiError) as raised:
        await whole(relay, REQUEST, PLAIN)
    assert (raised.value.reason, raised.value.param, raised.value.message) == ("INVALID_VALUE", "n", "n is 9.")
    server.chat.failure = None
    assert await whole(relay, REQUEST, PLAIN) == server.chat.response


async def test_a_broken_stream_ends_its_calls_with_an_error_and_is_opened_again(
    server: FakeChatServer, relay: Relay, tmp_path: Path
) -> None:
    server.chat.batches = [[events.started()], [events.delta("a")]]
    server.chat.hangs = True
    streamed = relay.submit(REQUEST, PLAIN, streamed=True)
    unstreamed = asyncio.create_task(whole(relay, REQUEST, PLAIN))
    # A batch of a long answer, of which the caller has nothing yet.
    begun = relay.submit(REQUEST, PLAIN, streamed=False)
    begun.deliver(relay_service_pb2.CallProgress(events=[events.started(), events.delta("a")], tokens=1))
    sink = Recorder()
    forwarding = asyncio.create_task(streamed.forward(sink))
    while len(sink.events) < 2:  # noqa: ASYNC110 - a list has nothing to await
        await asyncio.sleep(0.001)
    await server.stop()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await forwarding
    assert sink.events == [events.started(), (0, "a")]
    with pytest.raises(Unavailable, match="cannot be reached"):
        await unstreamed
    await is_connected(relay, False)
    with pytest.raises(Unavailable, match="cannot be reached"):
        relay.submit(REQUEST, PLAIN, streamed=True)
    async with running_chat_server(tmp_path) as again:
        await is_connected(relay)
        assert await whole(relay, REQUEST, PLAIN) == again.chat.response
        # The streamed call that had begun, for the ledger.
        assert [lost.started for lost in again.relay.lost] == [events.started().started]


async def running_while_its_server_closes(server: FakeChatServer, relay: Relay) -> RelayedCall:
    """A call that has started; its server has said that it closes, and the worker has half-closed the stream."""
    server.chat.hangs = True
    server.chat.batches = [[events.started()]]
    running = relay.submit(REQUEST, PLAIN, streamed=True)
    await running.started()
    await server.relay.close()
    await server.relay.half_closed.wait()
    return running


async def test_a_server_that_closes_gets_no_new_calls_and_ends_those_that_run(
    server: FakeChatServer, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    running = await running_while_its_server_closes(server, relay)
    with pytest.raises(Unavailable) as refused:
        relay.submit(REQUEST, PLAIN, streamed=True)
    assert refused.value.not_admitted  # so that Envoy sends it elsewhere
    server.relay.released.set()
    assert (await read_all(running))[-1] == events.completed()
    await is_connected(relay)
    assert "broken" not in caplog.text


async def test_a_stream_that_breaks_while_its_server_closes_is_broken_for_the_calls_that_run(
    server: FakeChatServer, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    running = await running_while_its_server_closes(server, relay)
    await server.stop()
    with pytest.raises(Unavailable):
        await running.forward(Recorder())
    assert "the relay is broken" in caplog.text
    assert "chat call lost" in caplog.text


async def test_a_call_that_was_sent_when_the_stream_broke_may_have_begun_and_one_that_was_not_may_be_sent_elsewhere(
    server: FakeChatServer, relay: Relay
) -> None:
    server.chat.hangs, server.chat.batches = True, []
    sent = relay.submit(REQUEST, PLAIN, streamed=True)
    await server.chat.begun.wait()
    unsent = relay.submit(REQUEST, PLAIN, streamed=True)
    relay._fail_all()  # before it is the writer's turn
    for call, may_be_sent in ((sent, False), (unsent, True)):
        with pytest.raises(Unavailable) as ended:
            await call.started()
        assert ended.value.not_admitted is may_be_sent


async def test_what_came_before_the_break_is_delivered_before_the_error(server: FakeChatServer, relay: Relay) -> None:
    server.chat.batches = [[events.started()], [events.delta("a")]]
    server.chat.hangs = True
    call = relay.submit(REQUEST, PLAIN, streamed=True)
    await call.started()
    while not call.characters:  # noqa: ASYNC110 - a number has nothing to await
        await asyncio.sleep(0.001)
    await server.stop()
    await is_connected(relay, False)
    sink = Recorder()
    with pytest.raises(Unavailable):
        await call.forward(sink)
    assert sink.events == [events.started(), (0, "a")]


async def test_a_request_that_no_message_can_hold_is_refused_and_the_stream_lives(
    server: FakeChatServer, relay: Relay
) -> None:
    part = chat_pb2.ContentPart(text="a" * MAX_MESSAGE_BYTES)
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[part])
    with pytest.raises(InvalidValue, match="larger than"):
        await whole(relay, chat_service_pb2.ChatRequest(messages=[message]), PLAIN)
    assert await whole(relay, REQUEST, PLAIN) == server.chat.response


@pytest.mark.parametrize("error", [SlowReader(), ValueError("a fault of ours")])
@pytest.mark.parametrize("text", [True, False], ids=["texts", "events"])
async def test_an_error_of_the_sink_ends_that_call_alone_and_cancels_it(
    server: FakeChatServer, relay: Relay, error: Exception, text: bool
) -> None:
    last = events.delta("b") if text else events.finish()
    server.chat.batches = [[events.started()], [events.delta("a")], [last], [events.completed()]]
    call, other = (relay.submit(REQUEST, PLAIN, streamed=True) for _ in range(2))
    with pytest.raises(type(error)) as raised:
        await call.forward(Recorder(2, error))
    assert raised.value is error
    assert len(await read_all(other)) == 4


async def test_a_call_whose_sink_takes_no_more_is_cancelled_once() -> None:
    ends: list[bool] = []
    call = RelayedCall({}, ends.append, streamed=True)
    forwarding = asyncio.create_task(call.forward(Recorder(0, SlowReader())))
    await asyncio.sleep(0)
    call.deliver_text(0, "a")
    with pytest.raises(SlowReader):
        await forwarding
    call.cancel()
    assert ends == [True, False]


async def test_events_are_handed_on_at_once_and_without_a_task() -> None:
    call, sink = RelayedCall({}, lambda _: None, streamed=True), Recorder()
    call.deliver(relay_service_pb2.CallProgress(call_id=7, events=[events.started()]))
    forwarding = asyncio.create_task(call.forward(sink))
    await asyncio.sleep(0)
    call.deliver_text(0, "a")
    call.deliver_text(1, "b")
    assert sink.events == [events.started(), (0, "a"), (1, "b")]
    forwarding.cancel()


async def test_new_calls_that_fill_a_message_leave_the_others_to_the_next(server: FakeChatServer, relay: Relay) -> None:
    part = chat_pb2.ContentPart(text="a" * 100_000)
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[part])
    request = chat_service_pb2.ChatRequest(messages=[message])
    await asyncio.gather(*(whole(relay, request, PLAIN) for _ in range(20)))
    assert [call.request for call in server.chat.calls] == [request] * 20
    assert max(server.relay.sizes) <= FULL + 100_200
    assert len(server.relay.sizes) < 20


async def test_a_relay_that_can_send_no_more_ends_and_does_not_leave_new_calls_waiting(
    server: FakeChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = Relay(server.address)
    running = asyncio.create_task(relay.run())
    await is_connected(relay)

    def broken() -> None:
        raise LookupError("no message can be made")

    monkeypatch.setattr(relay, "_gather", broken)
    with pytest.raises(Unavailable):
        await whole(relay, REQUEST, PLAIN)
    with pytest.raises(LookupError):
        await running
    await relay.close()
