"""What a connection sends. Frames gather until the loop's next iteration, and leave in one write."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from h2.stream import H2Stream

    from edge.http2.protocol import ServerProtocol

# Bytes that gather, or that the transport holds, before bodies have to wait.
MAX_BUFFERED: Final = 1024 * 1024


class ResponseBody:
    """The body of one response. `rest` waits for room; `sent` is whether it has left then, or was dropped."""

    __slots__ = ("frame_end", "is_last", "needs_window", "rest", "sent", "window")

    def __init__(self, window: H2Stream) -> None:
        self.window: H2Stream | None = window  # None once nothing more can be sent
        # What follows the length in the header of a DATA frame: type, no flags, stream.
        self.frame_end = b"\x00\x00" + window.stream_id.to_bytes(4, "big")
        self.rest = memoryview(b"")
        self.is_last = False
        self.sent: asyncio.Future[bool] | None = None
        self.needs_window = False  # whether the rest waits for the stream's window


class Outbox:
    """The frames on their way to the transport, and the bodies that wait for room.

    A body whose stream's window is used up waits for that alone. Those that wait for the connection's window, or for
    the transport, take turns of a frame each. h2 keeps the windows and makes all frames but those of DATA that do not
    end a stream: these are most, and made here in a tenth of the time.
    """

    def __init__(self, protocol: ServerProtocol) -> None:
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.WriteTransport | None = None
        self._frames: list[bytes | memoryview] = []
        self._gathered = 0  # bytes of bodies that took turns
        self._turns: deque[ResponseBody] = deque()
        self._paused = False
        self._blocked = False  # whether the transport is full or there are turns

    def connect(self, transport: asyncio.WriteTransport) -> None:
        """Write to `transport` from now on."""
        transport.set_write_buffer_limits(high=MAX_BUFFERED)
        self._transport = transport

    def disconnect(self) -> None:
        """Write nothing more."""
        self._transport = None
        self._turns.clear()

    def write(self, body: ResponseBody, data: bytes) -> bool:
        """Send `data`, which does not end the body, if it can leave at once. Called for nearly every token."""
        size = len(data)
        window, protocol = body.window, self._protocol
        if (
            window is None
            or self._blocked
            or size > window.outbound_flow_control_window
            or size > protocol.outbound_flow_control_window
            or size > protocol.max_outbound_frame_size
        ):
            return False
        window.outbound_flow_control_window -= size
        protocol.outbound_flow_control_window -= size
        frames = self._frames
        if not frames:
            self._loop.call_soon(self.flush)
        frames += (size.to_bytes(3, "big") + body.frame_end, data)
        return True

    def send(self, body: ResponseBody, data: bytes, *, is_last: bool) -> asyncio.Future[bool] | None:
        """Send `data`. None if it left at once, or a future that is True when it has, and False if it was dropped."""
        if not is_last and self.write(body, data):
            return None
        body.rest, body.is_last = memoryview(data), is_last
        sent = body.sent = self._loop.create_future()
        self._turns.append(body)
        self._take_turns()
        return None if sent.done() else sent

    def drop(self, body: ResponseBody) -> None:
        """Send nothing more of a body."""
        body.window = None
        body.rest = memoryview(b"")
        if body.sent is not None and not body.sent.done():
            body.sent.set_result(False)

    def stream_window_opened(self, body: ResponseBody) -> None:
        """The window of a stream has grown."""
        if body.needs_window:
            body.needs_window = False
            self._turns.append(body)
            self._take_turns()

    def connection_window_opened(self) -> None:
        """The connection's window has grown."""
        self._take_turns()

    def pause(self) -> None:
        """The transport is full."""
        self._paused = self._blocked = True

    def resume(self) -> None:
        """The transport has room again."""
        self._paused = False
        self._take_turns()

    def collect(self) -> None:
        """Send the frames that h2 has made since the last time."""
        data = self._protocol.data_to_send()
        if data:
            self.add(data)

    def flush(self) -> None:
        """Hand all frames to the transport."""
        if self._frames and self._transport is not None:
            self._transport.write(b"".join(self._frames))
        self._frames.clear()
        self._gathered = 0

    def add(self, *frames: bytes | memoryview) -> None:
        """Send frames as they are."""
        if not self._frames:
            self._loop.call_soon(self.flush)
        self._frames += frames

    def _take_turns(self) -> None:
        while self._turns and not self._paused:
            body = self._turns.popleft()
            if body.sent is None or body.sent.done():
                continue  # it was dropped, or its sender was cancelled
            if body.rest and self._protocol.outbound_flow_control_window <= 0:
                self._turns.appendleft(body)
                break
            self._take_turn(body, body.sent)
            if self._gathered >= MAX_BUFFERED:
                self.flush()  # the transport may call `pause`
        self._blocked = self._paused or bool(self._turns)

    def _take_turn(self, body: ResponseBody, sent: asyncio.Future[bool]) -> None:
        """Send one frame of what waits, and append the body to the turns if it has more and may send it."""
        window, protocol = body.window, self._protocol
        if window is None:
            return
        room = min(window.outbound_flow_control_window, protocol.outbound_flow_control_window)
        size = max(0, min(len(body.rest), room, protocol.max_outbound_frame_size))
        part, body.rest = body.rest[:size], body.rest[size:]
        self._gathered += size
        if body.is_last and not body.rest:
            protocol.send_data(window.stream_id, part, end_stream=True)
            self.collect()
        elif size:
            window.outbound_flow_control_window -= size
            protocol.outbound_flow_control_window -= size
            self.add(size.to_bytes(3, "big") + body.frame_end, part)
        if not body.rest:
            sent.set_result(True)
        elif window.outbound_flow_control_window > 0:
            self._turns.append(body)
        else:
            body.needs_window = True
