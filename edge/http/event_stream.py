"""The body of a streamed response: server-sent events leave as they come, with keep-alive comments while none come."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from types import coroutine
from typing import TYPE_CHECKING, Any, Final

from services.errors import SlowReader
from services.tasks import background_task

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from starlette.types import Message, Send

# Bytes of a stream that may wait for a client that does not read them.
MAX_UNSENT: Final = 1024 * 1024
# Bytes of the backlog that are written at once.
_WRITE: Final = 256 * 1024

_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class EventStream:
    """The body of one response.

    `send` is the application's, with its middleware. `write` and `send_body` are the server's own, which take events
    without a detour; `write` does so at once, or not at all where there is no room. `headers` are added to those of
    every stream. `give_up` is called when the client is gone, or has read nothing for too long. `keep_alive` is sent
    while there are no events.
    """

    def __init__(
        self,
        send: Send,
        write: Callable[[bytes], bool],
        send_body: Send,
        headers: Mapping[str, str],
        give_up: Callable[[], None],
        keep_alive: bytes,
    ) -> None:
        self.give_up = give_up
        self.stuck_ticks = 0  # of the keep-alive, in a row, during which a write was under way and none completed
        self._send = send
        self._write = write
        self._send_body = send_body
        self._headers = headers
        self._keep_alive = keep_alive
        self._pushed = False  # since the last tick
        self._progress = False  # whether a write that has to wait has begun or completed since the last tick
        # Sends what the server had no room for; events that come meanwhile gather behind it.
        self._writer: asyncio.Task[None] | None = None
        self._backlog: deque[tuple[bytes, bool]] = deque()  # whether it counts
        self._unsent = 0  # bytes of the backlog that count
        self._ending = False

    async def open(self, more: Mapping[str, str] | None = None) -> None:
        """Send the status and the headers, with `more` that are known only now."""
        named = {**self._headers, **(more or {})}
        own = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items()]
        await self._send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *own]})

    def push(self, data: bytes, *, counted: bool = True) -> None:
        """Send events without waiting; SlowReader when more than `MAX_UNSENT` bytes wait for the client.

        What is there at once, and was not generated while the client could read, is not `counted`.
        """
        self._pushed = True
        if self._writer is None:
            if not self._write(data):
                self._start(_body(data))
            return
        self._backlog.append((data, counted))
        if counted:
            self._unsent += len(data)
            if self._unsent > MAX_UNSENT:
                raise SlowReader

    async def drain(self) -> None:
        """Wait until everything has been sent; nothing but the end may follow."""
        self._ending = self._progress = True
        if self._writer is not None:
            await self._writer

    async def end(self, data: bytes) -> None:
        """Send the last events once everything before has been sent."""
        await self.drain()
        await self._send_body(_body(data, more=False))

    def tick(self) -> None:
        """Send the keep-alive if nothing was pushed since the last tick and no write is under way."""
        if self._writer is not None or self._ending:
            self.stuck_ticks = 0 if self._progress else self.stuck_ticks + 1
        else:
            self.stuck_ticks = 0
            if not self._pushed:
                self._start(_body(self._keep_alive))
        self._pushed = self._progress = False

    def close(self) -> None:
        """Drop what has not been sent; nothing may be pushed afterwards."""
        if self._writer is not None:
            self._writer.cancel()

    def _start(self, message: Message) -> None:
        """Begin a write. While the client keeps up the server takes it at once, and no task is needed."""
        steps = self._send_body(message).__await__()
        try:
            waits_for = next(steps)
        except StopIteration:
            return
        except OSError:
            self.give_up()
            return
        self._progress = True
        self._writer = background_task(self._drain(steps, waits_for), "stream writer")

    async def _drain(self, steps: Generator[Any, Any, None], waits_for: Any) -> None:
        """Complete a write that was begun, then send the backlog until there is none."""
        try:
            await _resume(steps, waits_for)
            self._progress = True
            while self._backlog:
                await self._send_body(_body(self._next()))
                self._progress = True
        except OSError:
            self.give_up()
        self._writer = None

    def _next(self) -> bytes:
        """The beginning of the backlog, for one write."""
        data = bytearray()
        while self._backlog and len(data) < _WRITE:
            events, counted = self._backlog.popleft()
            data += events
            if counted:
                self._unsent -= len(events)
        return bytes(data)


class KeepAlive:
    """One ticker for all streams of a worker. Times are in seconds.

    Every `interval` a silent stream gets a comment; one whose client has read nothing for `reader_timeout` is given up.
    """

    def __init__(self, interval: float, reader_timeout: float) -> None:
        self._interval = interval
        self._most_ticks = math.ceil(reader_timeout / interval)
        self._streams: set[EventStream] = set()

    def add(self, stream: EventStream) -> None:
        """Watch a stream that has been opened."""
        self._streams.add(stream)

    def discard(self, stream: EventStream) -> None:
        """Forget a stream."""
        self._streams.discard(stream)

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            for stream in self._streams:
                stream.tick()
                if stream.stuck_ticks == self._most_ticks:
                    stream.give_up()


@coroutine
def _resume(steps: Generator[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """The rest of an awaitable whose first step has run, and waits for `waits_for`."""
    yield waits_for
    yield from steps


def _body(data: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}
