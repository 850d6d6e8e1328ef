"""HTTP/2 requests and responses: scope, bodies both ways, for every way in which the bytes may be cut."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import h2.events
from h2.settings import SettingCodes
from hypothesis import given
from hypothesis import strategies as st

from edge.http2.protocol import MAX_STREAMS, STREAM_WINDOW
from edge.http2.scope import WRITE
from tests.support.http2 import Peer, echo, part, start, whole_body

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def test_an_application_gets_the_scope_of_its_request() -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await echo(scope, receive, send)

    peer = Peer(app)
    peer.begin("/v1/models/a%2Fb%20%C3%BC?limit=1&q=%20", method="GET", ends=True, x_request_id="7")
    await peer.settle()
    (scope,) = scopes
    assert {name: scope[name] for name in ("type", "http_version", "method", "scheme", "path")} == {
        "type": "http",
        "http_version": "2",
        "method": "GET",
        "scheme": "http",
        "path": "/v1/models/a/b ü",
    }
    assert (scope["raw_path"], scope["query_string"]) == (b"/v1/models/a%2Fb%20%C3%BC", b"limit=1&q=%20")
    assert list(scope["headers"]) == [(b"host", b"host"), (b"x-request-id", b"7")]


async def test_status_and_headers_arrive_as_they_were_sent() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send(start(418, [(b"content-type", b"text/plain"), (b"x-a", "ä".encode("latin-1"))]))
        await send(part(b"tea", more=False))

    peer = Peer(app)
    peer.h2.config.header_encoding = "latin-1"
    reply = await peer.answer()
    assert (reply.status, reply.headers["content-type"], reply.headers["x-a"]) == (418, "text/plain", "ä")
    assert (reply.body, reply.ended) == (b"tea", True)


@given(
    bodies=st.lists(st.binary(max_size=200), min_size=1, max_size=5),
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=30),
    parts=st.integers(1, 50),
)
def test_every_cut_of_the_bytes_gives_the_same_responses(bodies: list[bytes], cuts: list[int], parts: int) -> None:
    async def exchange() -> None:
        peer = Peer(echo)
        streams = [peer.begin() for _ in bodies]
        for at in range(0, 200, parts):  # the bodies' frames are interleaved
            for stream, body in zip(streams, bodies, strict=True):
                peer.body(stream, body[at : at + parts], ends=False)
        for stream in streams:
            peer.h2.end_stream(stream)
        sent = peer.h2.data_to_send()
        index = 0
        while sent:
            size = cuts[index % len(cuts)]
            peer.connection.data_received(sent[:size])
            sent = sent[size:]
            index += 1
            if not index % 3:
                await asyncio.sleep(0)
        await peer.settle()
        assert [(reply.body, reply.ended) for reply in peer.replies.values()] == [(body, True) for body in bodies]

    asyncio.run(exchange())


async def test_a_body_of_megabytes_arrives_whole_both_ways_in_frames_of_the_size_that_is_allowed() -> None:
    body = bytes(range(256)) * 4 * 4096  # 4 MiB
    reply = await Peer(echo).answer(body=body)
    assert reply.body == body
    assert max(map(len, reply.frames)) <= 16_384


async def test_the_parts_of_interleaved_streams_keep_their_order() -> None:
    async def app(scope: Scope, _: Receive, send: Send) -> None:
        write = scope["extensions"][WRITE]
        await send(start())
        for number in range(300):
            data = f"{scope['path']} {number};".encode()
            if number % 3 or not write(data):
                await send(part(data))
            if not number % 7:
                await asyncio.sleep(0)
        await send(part(b"", more=False))

    peer = Peer(app, window=1000)
    streams = [peer.begin(f"/{number}", ends=True) for number in range(10)]
    await peer.settle()
    for number, stream in enumerate(streams):
        expected = "".join(f"/{number} {index};" for index in range(300))
        assert peer.replies[stream].body == expected.encode()


async def test_what_streams_send_in_one_iteration_of_the_loop_leaves_in_one_write() -> None:
    writes = []
    go = asyncio.Event()

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        await send(start())
        await go.wait()
        assert scope["extensions"][WRITE](b"token")
        await asyncio.Event().wait()

    peer = Peer(app)
    for _ in range(20):
        peer.begin(ends=True)
    await peer.settle()
    go.set()
    for _ in range(5):
        await asyncio.sleep(0)
    writes, peer.transport.writes = peer.transport.writes, []
    assert len(writes) == 1
    peer.take(writes[0])
    assert [reply.body for reply in peer.replies.values()] == [b"token"] * 20
    peer.transport.close()


async def test_the_first_requests_of_a_large_read_begin_before_all_of_it_is_handled() -> None:
    begun = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope["path"])
        await echo(scope, receive, send)

    peer = Peer(app)
    await peer.settle()
    bodies = [bytes([number]) * 5000 for number in range(12)]
    for body in bodies:
        peer.body(peer.begin(f"/{body[0]}"), body)
    peer.connection.data_received(peer.h2.data_to_send())
    paused = not peer.transport.reading
    await asyncio.sleep(0)
    assert 0 < len(begun) < 12
    await peer.settle()
    assert paused
    assert peer.transport.reading
    assert [reply.body for reply in peer.replies.values()] == bodies


async def test_the_response_to_head_has_no_body() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send(start(200, [(b"content-length", b"5")]))
        await send(part(b"he"))
        await send(part(b"llo", more=False))

    reply = await Peer(app).answer(method="HEAD")
    assert (reply.status, reply.headers["content-length"], reply.body, reply.ended) == (200, "5", b"", True)
    assert reply.reset is None


async def test_trailers_of_a_request_are_ignored() -> None:
    peer = Peer(echo)
    stream = peer.begin()
    peer.body(stream, b"abc", ends=False)
    peer.h2.send_headers(stream, [("x-trailer", "1")], end_stream=True)
    await peer.settle()
    assert (peer.replies[stream].body, peer.replies[stream].ended) == (b"abc", True)


async def test_the_body_of_a_request_comes_as_it_arrives() -> None:
    messages = []

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            messages.append((message["body"], message["more_body"]))
            if not message["more_body"]:
                await send(start())
                await send(part(b"", more=False))

    peer = Peer(app)
    stream = peer.begin()
    await peer.settle()
    for data in (b"a", b"b"):
        peer.body(stream, data, ends=False)
        await peer.settle()
    peer.body(stream, b"c")
    await peer.settle()
    assert messages == [(b"a", True), (b"b", True), (b"c", False)]
    assert peer.replies[stream].ended


async def test_the_settings_allow_so_many_streams_and_such_windows() -> None:
    peer = Peer(echo)
    await peer.settle()
    assert peer.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] == MAX_STREAMS == 16_384
    assert peer.h2.remote_settings[SettingCodes.INITIAL_WINDOW_SIZE] == STREAM_WINDOW
    assert peer.h2.outbound_flow_control_window == 1 << 30


async def test_a_ping_is_acknowledged() -> None:
    peer = Peer(echo)
    peer.h2.ping(b"12345678")
    await peer.settle()
    (acknowledged,) = [event for event in peer.events if isinstance(event, h2.events.PingAckReceived)]
    assert acknowledged.ping_data == b"12345678"


async def test_as_many_header_fields_as_envoy_lets_through_are_taken() -> None:
    fields = {f"x_{number}": "v" * 610 for number in range(100)}
    fields |= {f"envoy_{number}": "v" * 200 for number in range(10)}
    peer = Peer(echo)
    stream = peer.begin(ends=True, **fields)
    await peer.settle()
    assert peer.replies[stream].status == 200


async def test_streams_that_have_ended_are_not_kept() -> None:
    peer = Peer(echo)
    for _ in range(300):
        assert (await peer.answer(body=b"a")).ended
    assert len(peer.connection._protocol.streams) <= 65


async def test_an_application_that_needs_no_body_answers_before_it_has_come() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send(start(401))
        await send(part(b"no", more=False))

    peer = Peer(app)
    stream = peer.begin()
    await peer.settle()
    reply = peer.replies[stream]
    assert (reply.status, reply.body, reply.ended, reply.reset) == (401, b"no", True, 0)
    # What is on its way still counts, and the connection goes on.
    assert (await peer.answer()).status == 401


async def test_whole_bodies_are_read_by_several_requests_at_once() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = await whole_body(receive)
        await send(start())
        await send(part(scope["path"].encode() + body, more=False))

    peer = Peer(app)
    streams = [peer.begin(f"/{number}") for number in range(50)]
    for stream in reversed(streams):
        peer.body(stream, b"!" * stream)
    await peer.settle()
    assert [reply.body for reply in peer.replies.values()] == [
        f"/{number}".encode() + b"!" * stream for number, stream in enumerate(streams)
    ]
