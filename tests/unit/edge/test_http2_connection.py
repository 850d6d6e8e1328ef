"""Connections over HTTP/2: peers that break the protocol, noise, limits, and a stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import h2.events
import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, PingFrame, WindowUpdateFrame
from hypothesis import given
from hypothesis import strategies as st

from edge.http2.protocol import MAX_HEADER_LIST
from tests.support.http2 import Peer, echo, frames_of, part, start

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


@pytest.mark.parametrize(
    "bad",
    [
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        DataFrame(99, b"of no stream").serialize(),
        HeadersFrame(3, b"\xff\xff\xff\xff", flags=["END_HEADERS"]).serialize(),
        WindowUpdateFrame(0, window_increment=2**31 - 1).serialize(),
        b"\x00\xff\xff\x00\x00\x00\x00\x00\x01" + b"a" * 70_000,
    ],
    ids=["preface", "stream", "fields", "window", "frame"],
)
async def test_a_peer_that_breaks_the_protocol_loses_its_connection_and_no_other(
    bad: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    disconnected = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/other":
            await echo(scope, receive, send)
            return
        while (await receive())["type"] != "http.disconnect":
            pass
        disconnected.append(scope["path"])

    peer, other = Peer(app), Peer(app)
    if not bad.startswith(b"GET"):
        peer.begin("/", ends=True)
        await peer.settle()
    peer.connection.data_received(bad)
    await peer.settle()
    assert peer.closed == [peer.connection]
    told = any(isinstance(event, h2.events.ConnectionTerminated) for event in peer.events)
    assert told is not bad.startswith(b"GET")  # a client of HTTP/1.1 would not understand a GOAWAY
    assert "broken the protocol" in caplog.text
    assert disconnected == ([] if bad.startswith(b"GET") else ["/"])
    assert other.closed == []
    stream = other.begin("/other", ends=True)
    await other.settle()
    assert other.replies[stream].ended


@given(
    noise=st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=12)), min_size=1, max_size=4),
    cut=st.integers(1, 700),
)
def test_whatever_a_peer_sends_at_worst_ends_its_connection(noise: list[tuple[int, bytes]], cut: int) -> None:
    async def exchange() -> None:
        peer = Peer(echo)
        for number in range(5):
            peer.body(peer.begin(f"/{number}", x_name="value" * number), b"a" * 100 * number)
        peer.h2.ping(b"12345678")
        peer.h2.reset_stream(peer.begin())
        sent = bytearray(peer.h2.data_to_send())
        for at, data in noise:
            start_at = 24 + at % (len(sent) - 24)  # behind the preface
            sent[start_at : start_at + len(data)] = data
        while sent:
            peer.connection.data_received(bytes(sent[:cut]))
            del sent[:cut]
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
        peer.connection.stop()
        for _ in range(5):
            await asyncio.sleep(0)
        peer.transport.close()
        await asyncio.sleep(0)
        assert peer.closed == [peer.connection]

    asyncio.run(exchange())


async def test_streams_that_are_begun_and_reset_in_one_read_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    monkeypatch.setattr("edge.http2.protocol.CONNECTION_WINDOW", 70_000)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope["path"])
        await echo(scope, receive, send)

    peer = Peer(app)
    for _ in range(300):
        stream = peer.begin("/reset")
        assert peer.body(stream, b"a" * 1000, ends=False) == 1000
        peer.h2.reset_stream(stream)
        if not stream % 7:
            await peer.settle()
    last = peer.begin("/last", ends=True)
    await peer.settle()
    assert peer.replies[last].ended
    assert begun == ["/last"]


async def test_header_fields_beyond_the_limit_end_the_connection() -> None:
    peer = Peer(echo)
    await peer.settle()
    # h2's client does not send so much, and this is the same: each byte stands for a field of 60 bytes.
    fields = b"\x40\x01x\x1a" + b"v" * 26 + b"\xbe" * (MAX_HEADER_LIST // 59)
    peer.connection.data_received(HeadersFrame(1, fields, flags=["END_HEADERS"]).serialize())
    assert peer.transport.closed


@pytest.mark.parametrize("knows_first", [True, False])
async def test_a_stop_serves_requests_on_their_way_and_closes_when_the_peer_knows_of_it_and_all_have_ended(
    knows_first: bool,
) -> None:
    go = asyncio.Event()

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send(start())
        await go.wait()
        await send(part(b"whole", more=False))

    peer = Peer(app)
    peer.begin(ends=True)
    await peer.settle()
    peer.connection.stop()
    peer.connection.stop()
    peer.begin(ends=True)  # on its way when the peer reads of the stop
    peer.connection.data_received(peer.h2.data_to_send())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    goaway, ping, headers = frames_of(b"".join(peer.transport.writes))
    assert isinstance(goaway, GoAwayFrame)
    assert (goaway.last_stream_id, goaway.error_code) == (2**31 - 1, 0)
    assert isinstance(ping, PingFrame)
    assert (type(headers), headers.stream_id) == (HeadersFrame, 3)
    peer.transport.writes.clear()
    known = PingFrame(0, ping.opaque_data, flags=["ACK"]).serialize()
    if knows_first:
        peer.connection.data_received(known)
        assert peer.closed == []
    go.set()
    for _ in range(5):
        await asyncio.sleep(0)
    if not knows_first:
        assert peer.closed == []
        peer.connection.data_received(known)
        await asyncio.sleep(0)
    answers = frames_of(b"".join(peer.transport.writes))
    assert [(frame.stream_id, frame.data, "END_STREAM" in frame.flags) for frame in answers] == [
        (1, b"whole", True),
        (3, b"whole", True),
    ]
    assert peer.closed == [peer.connection]


async def test_a_stop_closes_an_idle_connection_once_the_peer_knows_of_it() -> None:
    peer = Peer(echo)
    assert (await peer.answer()).ended
    peer.h2.ping(b"12345678")
    peer.connection.data_received(peer.h2.data_to_send())
    peer.connection.stop()
    await asyncio.sleep(0)
    assert peer.closed == []
    ping = frames_of(b"".join(peer.transport.writes))[-1]
    peer.connection.data_received(PingFrame(0, ping.opaque_data, flags=["ACK"]).serialize())
    await asyncio.sleep(0)
    assert peer.closed == [peer.connection]
