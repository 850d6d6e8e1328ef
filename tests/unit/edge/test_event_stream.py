"""The body of a streamed response: events, keep-alive comments, and clients that do not read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge.http.event_stream import MAX_UNSENT, EventStream, KeepAlive
from services.errors import SlowReader
from tests.support.asgi import GatedSend

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message

COMMENT = b": keep-alive\n\n"


def never() -> None:
    raise AssertionError("the stream was given up")


def has_no_room(_: bytes) -> bool:
    """The server's `write`, in tests of what happens then."""
    return False


def stream_to(send: GatedSend, write: Callable[[bytes], bool] = has_no_room) -> EventStream:
    return EventStream(send, write, send, {}, never, COMMENT)


async def completed() -> None:
    """Let writes that were begun go on as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_stream_opens_with_status_200_and_headers_that_forbid_buffering() -> None:
    send, body = GatedSend(), GatedSend()
    await EventStream(send, has_no_room, body, {"x-ignored-parameters": "zeta"}, never, COMMENT).open()
    (message,) = send.sent
    assert (message["type"], message["status"]) == ("http.response.start", 200)
    assert dict(message["headers"]) == {
        b"content-type": b"text/event-stream; charset=utf-8",
        b"cache-control": b"no-cache",
        b"x-accel-buffering": b"no",
        b"x-ignored-parameters": b"zeta",
    }
    assert body.sent == []


async def test_events_are_written_at_once_while_there_is_room_and_sent_in_order_when_there_is_none() -> None:
    send = GatedSend()
    room = [True, True, False, True]
    written: list[bytes] = []

    def write(data: bytes) -> bool:
        if room[0]:
            written.append(data)
        return room.pop(0)

    stream = stream_to(send, write)
    send.shut()
    for data in (b"a", b"b", b"c", b"d"):
        stream.push(data)
    assert (written, send.sent, room) == ([b"a", b"b"], [], [True])
    send.open()
    await completed()
    stream.push(b"e")
    assert (written, send.body()) == ([b"a", b"b", b"e"], b"cd")


async def test_events_leave_at_once_and_without_a_task_while_the_client_reads() -> None:
    send = GatedSend()
    stream = stream_to(send)
    tasks = asyncio.all_tasks()
    stream.push(b"a")
    stream.push(b"b")
    assert send.body() == b"ab"
    assert asyncio.all_tasks() == tasks
    await stream.end(b"c")
    assert [(message["body"], message["more_body"]) for message in send.sent] == [
        (b"a", True),
        (b"b", True),
        (b"c", False),
    ]


async def test_what_a_client_does_not_read_gathers_in_order_and_leaves_as_one_write() -> None:
    send = GatedSend()
    stream = stream_to(send)
    send.shut()
    for data in (b"a", b"b", b"c"):
        stream.push(data)
    assert send.body() == b""
    send.open()
    await completed()
    stream.push(b"d")
    assert [message["body"] for message in send.sent] == [b"a", b"bc", b"d"]
    assert send.most_at_once == 1


async def test_the_end_waits_for_everything_before_it() -> None:
    send = GatedSend()
    stream = stream_to(send)
    send.shut()
    stream.push(b"a")
    stream.push(b"b")
    end = asyncio.ensure_future(stream.end(b"c"))
    await completed()
    send.open()
    await end
    assert send.body() == b"abc"
    assert send.most_at_once == 1


async def test_a_client_that_does_not_read_may_leave_so_many_bytes_and_no_more() -> None:
    send = GatedSend()
    stream = stream_to(send)
    send.shut()
    stream.push(b"first")  # is being written, and no longer counted
    stream.push(b"a" * MAX_UNSENT)
    with pytest.raises(SlowReader):
        stream.push(b"a")
    stream.close()


async def test_what_is_there_at_once_may_wait_beyond_the_limit_and_leaves_in_order() -> None:
    send = GatedSend()
    stream = stream_to(send)
    send.shut()
    for data in (b"a", b"b", b"c"):
        stream.push(data * MAX_UNSENT, counted=False)
    stream.push(b"d" * (MAX_UNSENT - 1))
    with pytest.raises(SlowReader):
        stream.push(b"ee")
    send.open()
    await completed()
    stream.push(b"f")
    sent = send.body()
    assert [sent.count(letter) for letter in (b"a", b"b", b"c")] == [MAX_UNSENT] * 3
    assert bytes(dict.fromkeys(sent)) == b"abcdef"
    assert max(len(message["body"]) for message in send.sent) <= MAX_UNSENT


async def test_bytes_that_have_left_no_longer_count() -> None:
    send = GatedSend()
    stream = stream_to(send)
    for _ in range(3):
        send.shut()
        stream.push(b"first")
        stream.push(b"a" * MAX_UNSENT)
        send.open()
        await completed()
    assert len(send.body()) == 3 * (MAX_UNSENT + 5)


async def test_a_closed_stream_sends_nothing_of_its_backlog() -> None:
    send = GatedSend()
    stream = stream_to(send)
    send.shut()
    stream.push(b"a")
    stream.push(b"b")
    stream.close()
    send.open()
    await completed()
    assert send.body() == b""


async def test_a_silent_stream_gets_a_comment_at_every_tick() -> None:
    send = GatedSend()
    stream = stream_to(send)
    for _ in range(3):
        stream.tick()
    await stream.end(b"a")
    assert send.body() == 3 * COMMENT + b"a"


async def test_a_stream_that_falls_silent_gets_its_comment_at_the_second_tick() -> None:
    send = GatedSend()
    stream = stream_to(send)
    stream.push(b"a")
    stream.tick()
    assert send.body() == b"a"
    stream.tick()
    assert send.body() == b"a" + COMMENT


@pytest.mark.parametrize("ticks", [1, 2, 3])
async def test_no_comment_begins_while_a_write_is_under_way(ticks: int) -> None:
    send = GatedSend()
    stream = stream_to(send)
    send.shut()
    stream.push(b"a")
    for _ in range(ticks):
        stream.tick()
    send.open()
    await stream.end(b"b")
    assert send.body() == b"ab"
    assert send.most_at_once == 1


async def test_no_comment_begins_while_the_end_is_under_way() -> None:
    send = GatedSend()
    stream = stream_to(send)
    send.shut()
    end = asyncio.ensure_future(stream.end(b"a"))
    await send.begun.wait()
    for _ in range(3):
        stream.tick()
    send.open()
    await end
    assert send.body() == b"a"


async def test_an_event_waits_for_the_comment_that_is_under_way() -> None:
    send = GatedSend()
    stream = stream_to(send)
    send.shut()
    stream.tick()
    stream.push(b"a")
    send.open()
    await completed()
    assert send.body() == COMMENT + b"a"
    assert send.most_at_once == 1


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "later"])
async def test_a_connection_that_is_gone_gives_the_stream_up(waits: bool) -> None:
    async def broken(_: Message) -> None:
        if waits:
            await asyncio.sleep(0)
        raise OSError("gone")

    given_up = asyncio.Event()
    EventStream(broken, has_no_room, broken, {}, given_up.set, COMMENT).push(b"a")
    await given_up.wait()


async def test_the_ticker_sends_comments_to_every_silent_stream_until_it_is_discarded() -> None:
    keep_alive = KeepAlive(0.001, 60.0)
    sends = [GatedSend(), GatedSend()]
    streams = [stream_to(send) for send in sends]
    for stream in streams:
        keep_alive.add(stream)
    ticker = asyncio.ensure_future(keep_alive.run())
    for send in sends:
        await send.begun.wait()
    keep_alive.discard(streams[0])
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
    KeepAlive(1.0, 60.0).discard(stream_to(GatedSend()))


@pytest.mark.parametrize("what", ["an event", "a comment", "the end"])
async def test_a_client_who_reads_nothing_for_the_reader_timeout_is_given_up(what: str) -> None:
    send, given_up, ticks = GatedSend(), asyncio.Event(), 5
    stream = EventStream(send, has_no_room, send, {}, given_up.set, COMMENT)
    send.shut()
    end: asyncio.Future[None] | None = None
    if what == "an event":
        stream.push(b"a")
    elif what == "a comment":
        stream.tick()
    else:
        end = asyncio.ensure_future(stream.end(b"a"))
        await send.begun.wait()
    keep_alive = KeepAlive(0.001, 0.001 * ticks)
    keep_alive.add(stream)
    ticker = asyncio.ensure_future(keep_alive.run())
    await given_up.wait()
    assert stream.stuck_ticks == ticks
    ticker.cancel()
    send.open()
    if end is not None:
        await end
    stream.close()


async def test_a_client_that_reads_a_little_now_and_then_is_not_given_up() -> None:
    send = GatedSend()
    stream = stream_to(send)
    for _ in range(3):
        send.shut()
        stream.push(b"a")
        for _ in range(3):
            stream.tick()
        assert stream.stuck_ticks == 2
        send.open()
        await completed()
    stream.tick()
    assert stream.stuck_ticks == 0


async def test_events_that_still_come_do_not_hide_that_the_client_reads_nothing() -> None:
    send = GatedSend()
    stream = stream_to(send)
    send.shut()
    stream.push(b"a")
    for _ in range(4):
        stream.tick()
        stream.push(b"b")
    assert stream.stuck_ticks == 3
    stream.close()
