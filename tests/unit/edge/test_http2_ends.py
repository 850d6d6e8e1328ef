"""How requests over HTTP/2 end: clients that leave, in every state, and applications that fail."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame, WindowUpdateFrame

from edge.http2.scope import WRITE
from tests.support.http2 import Peer, echo, part, start, whole_body

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send


class Watched:
    """An application that sends until its client leaves, and keeps how it noticed."""

    def __init__(self, state: str) -> None:
        self.noticed: list[str] = []
        self.after: list[Message] = []
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer `/other` as usual, and get into the state with all others."""
        if scope["path"] == "/other":
            await echo(scope, receive, send)
            return
        try:
            await self._wait(receive, send)
        except EOFError:
            self.noticed.append("EOFError")
        except ConnectionResetError:
            self.noticed.append("ConnectionResetError")
        self.after.append(await receive())
        assert not scope["extensions"][WRITE](b"for nobody")
        with pytest.raises(ConnectionResetError):
            await send(part(b"for nobody"))
        await send(part(b"dropped", more=False))

    async def _wait(self, receive: Receive, send: Send) -> None:
        if self._state != "the body is missing":
            if self._state != "no response yet":
                await send(start())
            if self._state == "a send waits":
                await send(part(b"a" * 1_000_000))
            elif self._state == "the response has begun":
                await send(part(b"a"))
        await whole_body(receive)
        while (await receive())["type"] != "http.disconnect":
            pass
        raise EOFError


@pytest.mark.parametrize("leaves", ["reset", "close", "goaway"])
@pytest.mark.parametrize(
    "state",
    ["the body is missing", "no response yet", "the headers are sent", "the response has begun", "a send waits"],
)
async def test_an_application_notices_in_every_state_that_its_client_leaves(state: str, leaves: str) -> None:
    app = Watched(state)
    peer = Peer(app, reads=False)
    stream = peer.begin("/")
    peer.body(stream, b"abc", ends=state != "the body is missing")
    await peer.settle()
    assert app.noticed == []
    if leaves == "reset":
        peer.h2.reset_stream(stream, ErrorCodes.CANCEL)
    elif leaves == "goaway":
        peer.h2.close_connection()
    else:
        peer.transport.close()
    await peer.settle()
    assert app.noticed == ["ConnectionResetError" if state == "a send waits" else "EOFError"]
    assert app.after == [{"type": "http.disconnect"}]
    if leaves == "reset":
        other = peer.begin("/other", ends=True)
        await peer.settle()
        assert peer.replies[other].ended
        assert len(peer.replies[stream].body) <= 65_535
    else:
        assert peer.closed == [peer.connection]


async def test_a_client_that_leaves_before_the_last_part_of_a_response_has_left_is_no_error() -> None:
    ended = []

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send(start())
        await send(part(b"a" * 100, more=False))
        ended.append(True)

    peer = Peer(app, window=10, reads=False)
    stream = peer.begin(ends=True)
    await peer.settle()
    assert ended == []
    peer.h2.reset_stream(stream)
    await peer.settle()
    assert ended == [True]


async def test_a_reset_that_comes_after_the_end_changes_nothing() -> None:
    peer = Peer(echo)
    assert (await peer.answer(body=b"a")).ended
    peer.connection.data_received(RstStreamFrame(1).serialize())
    peer.connection.data_received(WindowUpdateFrame(1, window_increment=5).serialize())
    assert (await peer.answer(body=b"b")).body == b"b"


async def test_what_was_on_its_way_when_a_response_ended_early_is_ignored() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send(start(401))
        await send(part(b"no", more=False))

    peer = Peer(app)
    stream = peer.begin()
    peer.connection.data_received(peer.h2.data_to_send())
    for _ in range(5):
        await asyncio.sleep(0)
    await peer.settle()
    assert (peer.replies[stream].body, peer.replies[stream].ended) == (b"no", True)
    for _ in range(200):  # so that the first one is not kept any more
        assert (await peer.answer()).status == 401
    trailer = b"\x00\x01t\x011"
    for frame in (DataFrame(stream, b"late"), HeadersFrame(stream, trailer, flags=["END_HEADERS", "END_STREAM"])):
        peer.connection.data_received(frame.serialize())
    assert (await peer.answer()).status == 401


async def test_after_the_response_the_application_is_told_of_a_disconnect() -> None:
    messages = []

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        await send(start())
        await send(part(b"", more=False))
        messages.append(await waiting)
        messages.append(await receive())

    peer = Peer(app)
    peer.begin(ends=False)
    await peer.settle()
    assert messages == [{"type": "http.disconnect"}] * 2


@pytest.mark.parametrize("raises", [True, False], ids=["an error", "an end"])
@pytest.mark.parametrize("begun", [False, True], ids=["before the response", "within the response"])
async def test_an_application_that_fails_is_500_or_a_reset(
    raises: bool, begun: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/other":
            await echo(scope, receive, send)
            return
        if begun:
            await send(start())
            await send(part(b"a"))
        if raises:
            raise RuntimeError("a defect")

    peer = Peer(app, may_fail=True)
    stream = peer.begin("/", ends=True)
    other = peer.begin("/other", ends=True)
    await peer.settle()
    reply = peer.replies[stream]
    assert (reply.status, reply.body) == ((200, b"a") if begun else (500, b""))
    assert (reply.ended, reply.reset) == ((False, ErrorCodes.INTERNAL_ERROR) if begun else (True, None))
    assert ("a defect" in caplog.text) is raises
    assert peer.replies[other].ended


async def test_a_response_whose_send_was_cancelled_is_reset_as_it_has_a_gap() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send(start())
        waiting = asyncio.ensure_future(send(part(b"a" * 1000)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await send(part(b"the end", more=False))

    peer = Peer(app, window=10, reads=False)
    stream = peer.begin(ends=True)
    await peer.settle()
    assert (peer.replies[stream].body, peer.replies[stream].ended) == (b"a" * 10, False)
    assert peer.replies[stream].reset == ErrorCodes.INTERNAL_ERROR


async def test_what_comes_after_the_end_of_a_response_is_not_sent() -> None:
    written = []

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        await send(start())
        await send(part(b"all", more=False))
        await send(part(b"more"))
        written.append(scope["extensions"][WRITE](b"more"))

    reply = await Peer(app).answer()
    assert (reply.body, reply.ended, reply.reset) == (b"all", True, None)
    assert written == [False]
