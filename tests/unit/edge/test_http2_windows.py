"""Flow control over HTTP/2: what waits for which window, in which order, and what an unread body may hold."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from h2.settings import SettingCodes
from hypothesis import given
from hypothesis import strategies as st

from edge.http2.outbox import MAX_BUFFERED
from edge.http2.protocol import STREAM_WINDOW
from edge.http2.scope import WRITE
from tests.support.http2 import Peer, part, start, whole_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

FRAME = 16_384
HUGE = 1 << 30


class Sender:
    """An application that sends what a test tells it to; `done` counts the sends of each stream that have ended."""

    def __init__(self) -> None:
        self.sends: dict[str, Send] = {}
        self.writes: dict[str, Callable[[bytes], bool]] = {}
        self.done: dict[str, int] = {}
        self.tasks: list[asyncio.Task[None]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open the stream, and keep it open."""
        path = scope["path"]
        self.sends[path], self.writes[path], self.done[path] = send, scope["extensions"][WRITE], 0
        await send(start())
        while (await receive())["type"] != "http.disconnect":
            pass

    def send(self, path: str, data: bytes, *, more: bool = True) -> None:
        """Begin a send, and count it once it has ended."""

        async def sent() -> None:
            await self.sends[path](part(data, more=more))
            self.done[path] += 1

        self.tasks.append(asyncio.ensure_future(sent()))


async def opened(*paths: str, window: int, reads: bool = False) -> tuple[Sender, Peer]:
    """Open streams to a client who reads nothing by itself."""
    sender = Sender()
    peer = Peer(sender, window=window, reads=reads)
    for path in paths:
        peer.begin(path, ends=True)
    await peer.settle()
    return sender, peer


def suspends(sender: Sender, data: bytes, *, more: bool = True) -> bool:
    """Whether a send has to wait, by its first step."""
    steps = sender.sends["/a"](part(data, more=more)).__await__()
    try:
        next(steps)
    except StopIteration:
        return False
    return True


async def test_a_send_does_not_suspend_while_there_is_room_and_waits_when_there_is_none() -> None:
    sender, peer = await opened("/a", window=100)
    assert not suspends(sender, b"a" * 60)
    assert not suspends(sender, b"b" * 40)
    sender.send("/a", b"c")
    await peer.settle()
    assert sender.done["/a"] == 0
    assert not sender.writes["/a"](b"d")
    peer.h2.increment_flow_control_window(50, 1)
    await peer.settle()
    assert sender.done["/a"] == 1
    assert not suspends(sender, b"e" * 49)
    await peer.settle()
    assert peer.replies[1].body == b"a" * 60 + b"b" * 40 + b"c" + b"e" * 49


async def test_a_write_takes_what_can_leave_as_one_frame_and_nothing_else() -> None:
    sender, peer = await opened("/a", "/b", window=HUGE)
    write = sender.writes["/a"]
    assert [write(b"a" * size) for size in (FRAME + 1, FRAME, FRAME, FRAME)] == [False, True, True, True]
    assert not write(b"b" * FRAME)  # a byte more than the rest of the connection's window
    assert sender.writes["/b"](b"b" * (FRAME - 1))
    assert not write(b"c")
    await peer.settle()
    assert [len(frame) for frame in peer.replies[1].frames] == [FRAME] * 3
    assert peer.replies[3].body == b"b" * (FRAME - 1)


async def test_a_body_of_any_size_is_handed_to_the_transport_in_writes_of_a_bounded_size() -> None:
    sender, peer = await opened("/a", window=HUGE)
    peer.h2.increment_flow_control_window(HUGE)
    await peer.settle()
    sender.send("/a", b"a" * 5 * MAX_BUFFERED, more=False)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert max(map(len, peer.transport.writes)) < MAX_BUFFERED + 65 * 9 + FRAME
    await peer.settle()
    assert peer.replies[1].body == b"a" * 5 * MAX_BUFFERED


async def test_the_end_needs_no_window() -> None:
    sender, peer = await opened("/a", window=10)
    assert not suspends(sender, b"a" * 10)
    assert not suspends(sender, b"", more=False)
    await peer.settle()
    assert (peer.replies[1].body, peer.replies[1].ended) == (b"a" * 10, True)


@given(
    size=st.integers(1, 3000),
    window=st.integers(1, 500),
    grants=st.lists(st.integers(1, 700), min_size=1, max_size=10),
)
def test_however_the_window_is_opened_again_the_body_arrives_whole(size: int, window: int, grants: list[int]) -> None:
    async def exchange() -> None:
        sender, peer = await opened("/a", window=window)
        body = bytes(index % 251 for index in range(size))
        sender.send("/a", body, more=False)
        await peer.settle()
        granted, index = window, 0
        while granted < size:
            assert peer.replies[1].body == body[:granted]
            assert not peer.replies[1].ended
            peer.h2.increment_flow_control_window(grants[index % len(grants)], 1)
            granted += grants[index % len(grants)]
            index += 1
            await peer.settle()
        assert (peer.replies[1].body, peer.replies[1].ended, sender.done["/a"]) == (body, True, 1)

    asyncio.run(exchange())


async def test_a_client_that_does_not_read_one_stream_stops_no_other() -> None:
    sender, peer = await opened("/a", "/b", window=1000)
    peer.h2.increment_flow_control_window(HUGE)
    sender.send("/a", b"a" * 5000)
    await peer.settle()
    assert len(peer.replies[1].body) == 1000
    peer.h2.increment_flow_control_window(100_000, 3)
    await peer.settle()
    assert all(sender.writes["/b"](b"b" * 100) for _ in range(100))
    sender.send("/b", b"c" * 50_000, more=False)
    await peer.settle()
    assert peer.replies[3].body == b"b" * 10_000 + b"c" * 50_000
    assert (len(peer.replies[1].body), sender.done["/a"]) == (1000, 0)


async def test_streams_that_wait_for_the_connections_window_get_a_frame_each_in_turn() -> None:
    sender, peer = await opened("/a", "/b", "/c", window=HUGE)
    for path in ("/a", "/b", "/c"):
        sender.send(path, path.encode() * 100_000, more=False)
    await peer.settle()
    assert sum(len(reply.body) for reply in peer.replies.values()) == 65_535
    for _ in range(30):
        peer.h2.increment_flow_control_window(FRAME)
        await peer.settle()
    first, second, third = (reply.body for reply in peer.replies.values())
    assert len(first) + len(second) + len(third) == 65_535 + 30 * FRAME
    assert max(map(len, (first, second, third))) - min(map(len, (first, second, third))) <= 2 * FRAME
    peer.h2.increment_flow_control_window(HUGE)
    await peer.settle()
    assert [reply.body for reply in peer.replies.values()] == [b"/a" * 100_000, b"/b" * 100_000, b"/c" * 100_000]
    assert all(reply.ended for reply in peer.replies.values())


async def test_a_large_body_does_not_keep_another_stream_waiting_until_it_has_left() -> None:
    sender, peer = await opened("/a", "/b", window=HUGE)
    sender.send("/a", b"a" * 10 * FRAME)
    await peer.settle()
    sender.send("/b", b"b")
    await peer.settle()
    peer.h2.increment_flow_control_window(2 * FRAME)
    await peer.settle()
    assert sender.done == {"/a": 0, "/b": 1}


async def test_while_the_transport_is_full_bodies_wait_and_then_leave_in_order() -> None:
    sender, peer = await opened("/a", "/b", window=HUGE)
    peer.connection.pause_writing()
    assert not sender.writes["/a"](b"a")
    sender.send("/a", b"a")
    sender.send("/b", b"b")
    await peer.settle()
    assert sender.done == {"/a": 0, "/b": 0}
    peer.connection.resume_writing()
    await peer.settle()
    assert sender.done == {"/a": 1, "/b": 1}
    assert peer.order == [1, 3]
    assert sender.writes["/a"](b"a")


async def test_a_window_that_grows_by_the_settings_lets_waiting_bodies_go_on() -> None:
    sender, peer = await opened("/a", window=10)
    sender.send("/a", b"a" * 100)
    await peer.settle()
    assert len(peer.replies[1].body) == 10
    peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1000})
    await peer.settle()
    assert (len(peer.replies[1].body), sender.done["/a"]) == (100, 1)


async def test_a_window_that_shrinks_below_zero_is_waited_for() -> None:
    sender, peer = await opened("/a", window=100)
    assert not suspends(sender, b"a" * 90)
    peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 10})  # 80 less than nothing
    await peer.settle()
    sender.send("/a", b"b" * 200)
    await peer.settle()
    assert peer.replies[1].body == b"a" * 90
    peer.h2.increment_flow_control_window(90, 1)
    await peer.settle()
    assert (peer.replies[1].body, sender.done["/a"]) == (b"a" * 90 + b"b" * 10, 0)
    peer.h2.increment_flow_control_window(190, 1)
    await peer.settle()
    assert (peer.replies[1].body, sender.done["/a"]) == (b"a" * 90 + b"b" * 200, 1)


async def test_a_body_that_is_not_read_is_bounded_and_stops_no_other_request() -> None:
    read = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/unread":
            await read.wait()
        body = await whole_body(receive)
        await send(start())
        await send(part(str(len(body)).encode(), more=False))

    peer = Peer(app)
    body = b"a" * 3 * STREAM_WINDOW
    await peer.settle()
    unread = [peer.begin("/unread") for _ in range(8)]
    for stream in unread:
        assert peer.body(stream, body) == STREAM_WINDOW
    await peer.settle()
    assert [peer.h2.local_flow_control_window(stream) for stream in unread] == [0] * 8
    assert (await peer.answer("/read", body)).body == str(len(body)).encode()
    read.set()
    sent = [STREAM_WINDOW] * 8
    while min(sent) < len(body):
        await peer.settle()
        for index, stream in enumerate(unread):
            if sent[index] < len(body):
                sent[index] += peer.body(stream, body[sent[index] :])
    await peer.settle()
    assert [peer.replies[stream].body for stream in unread] == [str(len(body)).encode()] * 8


async def test_requests_that_are_cut_off_give_their_part_of_the_connections_window_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def app(_: Scope, receive: Receive, __: Send) -> None:
        await receive()
        await asyncio.Event().wait()  # reads no more

    monkeypatch.setattr("edge.http2.protocol.CONNECTION_WINDOW", 2 * STREAM_WINDOW)
    peer = Peer(app)
    await peer.settle()
    for _ in range(10):
        stream = peer.begin()
        assert peer.body(stream, b"a" * STREAM_WINDOW, ends=False) == STREAM_WINDOW
        peer.h2.reset_stream(stream)
        await peer.settle()
