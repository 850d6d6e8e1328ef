"""The client's side of an HTTP/2 connection, played by h2 without a socket; and applications to serve."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import h2.events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings
from hyperframe.frame import Frame

from edge.http2.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FRAME = 16_384  # the largest that a server takes


class FakeTransport(asyncio.Transport):
    """Keeps what is written until the peer takes it."""

    def __init__(self, protocol: Connection) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False
        self.reading = True
        self._protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """The test fills and empties the buffer itself."""

    def write(self, data: Any) -> None:
        """Keep `data`."""
        if self.closed:
            raise AssertionError("written to a transport that is closed")
        self.writes.append(bytes(data))

    def pause_reading(self) -> None:
        """Deliver nothing for now."""
        self.reading = False

    def resume_reading(self) -> None:
        """Deliver what the client sends."""
        self.reading = True

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self.closed

    def close(self) -> None:
        """Close; `connection_lost` comes in the next iteration of the loop, as from a real transport."""
        if not self.closed:
            self.closed = self.reading = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close


@dataclass(slots=True)
class Reply:
    """What has come of a response."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    frames: list[bytes] = field(default_factory=list)  # of DATA
    ended: bool = False
    reset: int | None = None  # the error code

    @property
    def body(self) -> bytes:
        """The body so far."""
        return b"".join(self.frames)


class Peer:
    """A client with a connection to `app`, whose errors are a test's unless it `may_fail`.

    `window` is that of each stream; unless the client `reads`, none is opened again.
    """

    def __init__(self, app: ASGIApp, *, window: int = 65_535, reads: bool = True, may_fail: bool = False) -> None:
        self.reads = reads
        self.errors: list[Exception] = []
        self._app = app
        self._may_fail = may_fail
        self.replies: dict[int, Reply] = {}
        self.events: list[h2.events.Event] = []
        self.order: list[int] = []  # the streams of the DATA frames
        self.opened: list[Connection] = []
        self.closed: list[Connection] = []
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.local_settings = Settings(client=True, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.connection = Connection(self._run, self.opened.append, self.closed.append)
        self.transport = FakeTransport(self.connection)
        self.connection.connection_made(self.transport)
        self.h2.initiate_connection()

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            self.errors.append(error)
            raise

    async def settle(self) -> None:
        """Carry bytes to and fro until nothing comes any more."""
        quiet = 0
        while quiet < 5:
            sent = self.h2.data_to_send() if self.transport.reading else b""
            if sent:
                self.connection.data_received(sent)
            await asyncio.sleep(0)
            received, self.transport.writes = self.transport.writes, []
            for data in received:
                self.take(data)
            quiet = 0 if sent or received or not self.transport.reading else quiet + 1
        if self.errors and not self._may_fail:
            raise self.errors[0]

    def take(self, data: bytes) -> None:
        """What the server has written."""
        for event in self.h2.receive_data(data):
            self.events.append(event)
            reply = self.replies.get(getattr(event, "stream_id", None) or 0, Reply())
            if isinstance(event, h2.events.ResponseReceived):
                headers: Any = event.headers
                reply.headers = dict(headers)
                reply.status = int(reply.headers[":status"])
            elif isinstance(event, h2.events.DataReceived):
                reply.frames.append(event.data)
                self.order.append(event.stream_id)
                if self.reads:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                reply.ended = True
            elif isinstance(event, h2.events.StreamReset):
                reply.reset = int(event.error_code)

    def begin(self, path: str = "/", *, method: str = "POST", ends: bool = False, **headers: str) -> int:
        """Send the header fields of a request; `_` in their names stands for `-`."""
        stream = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "http"), (":authority", "host"), (":path", path)]
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.h2.send_headers(stream, [*pseudo, *named], end_stream=ends)
        self.replies[stream] = Reply()
        return stream

    def body(self, stream: int, data: bytes, *, ends: bool = True) -> int:
        """Send as much of a body as the windows let through, and return how much that is."""
        room = min(len(data), self.h2.local_flow_control_window(stream))
        for start in range(0, room, _FRAME):
            self.h2.send_data(stream, data[start : min(start + _FRAME, room)])
        if ends and room == len(data):
            self.h2.end_stream(stream)
        return room

    async def answer(self, path: str = "/", body: bytes = b"", *, method: str = "POST") -> Reply:
        """A request, and what comes of its response."""
        stream = self.begin(path, method=method)
        while body:
            body = body[self.body(stream, body, ends=False) :]
            await self.settle()
        self.h2.end_stream(stream)
        await self.settle()
        return self.replies[stream]


def frames_of(data: bytes) -> list[Any]:
    """What a client reads, after the end of its connection, too."""
    frames = []
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data[:9]))
        frame.parse_body(memoryview(data[9 : 9 + length]))
        frames.append(frame)
        data = data[9 + length :]
    return frames


async def whole_body(receive: Receive) -> bytes:
    """The body of a request; EOFError if its client leaves before the end."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise EOFError
        body += message["body"]
        more = message["more_body"]
    return body


def start(status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()) -> Message:
    """The beginning of a response."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def part(data: bytes, *, more: bool = True) -> Message:
    """A part of its body."""
    return {"type": "http.response.body", "body": data, "more_body": more}


async def echo(_: Scope, receive: Receive, send: Send) -> None:
    """An application: the response's body is the request's."""
    body = await whole_body(receive)
    await send(start())
    await send(part(body, more=False))
