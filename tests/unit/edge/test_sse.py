"""How events are framed, and in which order a stream writes them and its keep-alive comments."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from edge.openai.response import ChunkSequence
from edge.openai.sse import DONE, ChunkFrames, EventStream, KeepAlive, frame
from tests.support import events
from tests.support.asgi import GatedSend

COMMENT = b": keep-alive\n\n"


def never() -> None:
    """For streams whose callers read."""
    raise AssertionError("the caller reads")


def test_an_event_is_one_data_line_and_an_empty_one() -> None:
    assert frame(b'{"a":1}') == b'data: {"a":1}\n\n'


def test_the_end_of_a_stream_is_framed_as_openai_does() -> None:
    assert DONE == b"data: [DONE]\n\n"


def started(n: int = 1) -> ChunkFrames:
    """The frames of an answer that has begun."""
    frames = ChunkFrames(ChunkSequence(n=n, include_usage=False))
    frames.frames([events.started()])
    return frames


def chunks(data: bytes) -> list[dict[str, Any]]:
    """What the frames hold."""
    return [json.loads(part.removeprefix(b"data: ")) for part in data.split(b"\n\n")[:-1]]


def test_no_events_are_no_bytes() -> None:
    assert started().frames([]) == b""


TEXTS = ["\n", "\r\n", "a\n\ndata: [DONE]\n\n", "\u2028\u2029\u0085", "¡Hola! 🏃", '"\\', "\0", '","role":"system"']


@pytest.mark.parametrize("text", TEXTS)
def test_whatever_a_text_holds_it_stays_in_one_event(text: str) -> None:
    data = started().frames([(0, text)])
    line = data.removeprefix(b"data: ").removesuffix(b"\n\n")
    assert data == b"data: " + line + b"\n\n"
    assert b"\n" not in line
    assert b"\r" not in line
    assert json.loads(line)["choices"][0]["delta"]["content"] == text


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("index", [0, 1])
def test_a_text_is_framed_as_the_event_that_it_stands_for(text: str, index: int) -> None:
    frames = started(n=2)
    assert frames.frames([(index, "before"), (index, text)]) == frames.frames(
        [events.delta("before", index), events.delta(text, index)]
    )


def test_events_of_one_batch_are_framed_in_their_order() -> None:
    frames = ChunkFrames(ChunkSequence(n=1, include_usage=False))
    data = frames.frames([events.started(), (0, "a"), events.delta("b"), (0, "c")])
    assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks(data)] == ["", "a", "b", "c"]


async def test_a_stream_opens_with_status_200_and_headers_that_forbid_buffering() -> None:
    send = GatedSend()
    await EventStream(send, {"x-ignored-parameters": "zeta"}, never).open()
    (message,) = send.sent
    assert (message["type"], message["status"]) == ("http.response.start", 200)
    assert dict(message["headers"]) == {
        b"content-type": b"text/event-stream; charset=utf-8",
        b"cache-control": b"no-cache",
        b"x-accel-buffering": b"no",
        b"x-ignored-parameters": b"zeta",
    }


async def test_writes_leave_in_order_and_only_the_last_one_ends_the_body() -> None:
    send = GatedSend()
    stream = EventStream(send, {}, never)
    await stream.open()
    await stream.write(b"a")
    await stream.write(b"b", last=True)
    assert [(message["body"], message["more_body"]) for message in send.sent[1:]] == [(b"a", True), (b"b", False)]


async def test_a_silent_stream_gets_a_comment_at_every_tick() -> None:
    send = GatedSend()
    stream = EventStream(send, {}, never)
    for _ in range(3):
        send.begun.clear()
        stream.keep_alive()
        await send.begun.wait()
    await stream.write(b"a")
    assert send.body() == 3 * COMMENT + b"a"


async def test_a_stream_that_wrote_since_the_last_tick_gets_no_comment() -> None:
    send = GatedSend()
    stream = EventStream(send, {}, never)
    await stream.write(b"a")
    stream.keep_alive()
    await stream.write(b"b")
    stream.keep_alive()
    await stream.write(b"c", last=True)
    assert send.body() == b"abc"


async def test_a_stream_that_falls_silent_gets_its_comment_at_the_second_tick() -> None:
    send = GatedSend()
    stream = EventStream(send, {}, never)
    await stream.write(b"a")
    stream.keep_alive()
    send.begun.clear()
    stream.keep_alive()
    await send.begun.wait()
    await stream.write(b"b")
    assert send.body() == b"a" + COMMENT + b"b"


async def test_no_second_comment_begins_while_one_is_on_its_way() -> None:
    send = GatedSend()
    stream = EventStream(send, {}, never)
    send.shut()
    stream.keep_alive()
    await send.begun.wait()
    stream.keep_alive()
    stream.keep_alive()
    send.open()
    await stream.write(b"a")
    assert send.body() == COMMENT + b"a"
    assert send.most_at_once == 1


@pytest.mark.parametrize("last", [False, True])
async def test_a_write_waits_for_the_comment_that_is_on_its_way(last: bool) -> None:
    send = GatedSend()
    stream = EventStream(send, {}, never)
    send.shut()
    stream.keep_alive()
    await send.begun.wait()
    write = asyncio.ensure_future(stream.write(b"a", last=last))
    await asyncio.sleep(0)  # the write has its turn, and would begin
    send.open()
    await write
    assert send.body() == COMMENT + b"a"
    assert send.most_at_once == 1
    assert send.sent[-1]["more_body"] is not last


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("ticks", [1, 2, 3])
async def test_no_comment_begins_while_a_write_is_on_its_way(last: bool, ticks: int) -> None:
    send = GatedSend()
    stream = EventStream(send, {}, never)
    send.shut()
    write = asyncio.ensure_future(stream.write(b"a", last=last))
    await send.begun.wait()
    for _ in range(ticks):
        stream.keep_alive()
        await asyncio.sleep(0)  # a comment that was started begins its write now
    at_once = send.most_at_once
    send.open()
    await write
    assert at_once == 1
    assert send.body() == b"a"


async def test_a_comment_that_could_not_be_sent_makes_the_next_write_fail() -> None:
    class BrokenSend:
        """A `send` of a connection that is gone."""

        def __init__(self) -> None:
            self.tried = asyncio.Event()

        async def __call__(self, message: object) -> None:
            self.tried.set()
            raise OSError("gone")

    send = BrokenSend()
    stream = EventStream(send, {}, never)
    stream.keep_alive()
    await send.tried.wait()
    with pytest.raises(OSError, match="gone"):
        await stream.write(b"a")


async def test_the_ticker_sends_comments_to_every_silent_stream_until_it_is_discarded() -> None:
    keep_alive = KeepAlive(0.001, 60.0)
    sends = [GatedSend(), GatedSend()]
    streams = [EventStream(send, {}, never) for send in sends]
    for stream in streams:
        keep_alive.add(stream)
    ticker = asyncio.ensure_future(keep_alive.run())
    for send in sends:
        await send.begun.wait()
    keep_alive.discard(streams[0])
    await streams[0].write(b"")
    count = len(sends[0].sent)
    for _ in range(3):
        sends[1].begun.clear()
        await sends[1].begun.wait()
    ticker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ticker
    assert len(sends[0].sent) == count
    assert {message["body"] for message in sends[1].sent} == {COMMENT}


def test_discarding_a_stream_that_was_never_added_has_no_effect() -> None:
    KeepAlive(1.0, 60.0).discard(EventStream(GatedSend(), {}, never))


async def given_up_after(ticks: int, send: GatedSend, stream: EventStream, given_up: asyncio.Event) -> None:
    """Tick, and expect the stream to be given up with the last tick."""
    keep_alive = KeepAlive(0.001, 0.001 * ticks)
    keep_alive.add(stream)
    ticker = asyncio.ensure_future(keep_alive.run())
    await given_up.wait()
    assert stream.stuck_ticks == ticks
    ticker.cancel()
    send.open()


async def test_a_caller_who_reads_nothing_of_a_write_is_given_up() -> None:
    send, given_up = GatedSend(), asyncio.Event()
    stream = EventStream(send, {}, given_up.set)
    send.shut()
    write = asyncio.ensure_future(stream.write(b"a"))
    await send.begun.wait()
    await given_up_after(5, send, stream, given_up)
    await write


async def test_a_caller_who_reads_nothing_of_a_comment_is_given_up() -> None:
    send, given_up = GatedSend(), asyncio.Event()
    stream = EventStream(send, {}, given_up.set)
    send.shut()
    stream.keep_alive()
    await send.begun.wait()
    await given_up_after(5, send, stream, given_up)


async def test_a_caller_who_reads_a_little_now_and_then_is_not_given_up() -> None:
    send = GatedSend()
    stream = EventStream(send, {}, never)
    for _ in range(3):
        send.shut()
        write = asyncio.ensure_future(stream.write(b"a"))
        await send.begun.wait()
        for _ in range(3):
            stream.keep_alive()
        assert stream.stuck_ticks == 2
        send.open()
        await write
    stream.keep_alive()
    assert stream.stuck_ticks == 0
