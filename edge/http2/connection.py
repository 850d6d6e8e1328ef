"""A connection: hands what h2 reads from its bytes to the streams, and runs the application for each request."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, cast

from h2.events import (
    ConnectionTerminated,
    DataReceived,
    PingAckReceived,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from hyperframe.frame import GoAwayFrame

from edge.http2.outbox import Outbox
from edge.http2.protocol import ServerProtocol
from edge.http2.stream import Stream
from services.tasks import background_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from h2.events import Event
    from starlette.types import ASGIApp

log = logging.getLogger(__name__)

_CONNECTION: Final = 0  # as the number of a stream
_LARGEST_ID: Final = 2**31 - 1
_STOP_PING: Final = b"stopping"
# Bytes that are handled in an iteration of the loop. When reads of up to 256 KiB were handled whole, calls that came at
# once waited for each other at every step: the first tokens of 256 of them came 1.8 times as late.
_MOST_AT_ONCE: Final = 16_384


class Connection(asyncio.Protocol):
    """A connection of Envoy. `on_open` is called when it is there, `on_close` when it is closed."""

    def __init__(
        self, app: ASGIApp, on_open: Callable[[Connection], None], on_close: Callable[[Connection], None]
    ) -> None:
        self._app = app
        self._on_open = on_open
        self._on_close = on_close
        self._protocol = ServerProtocol()
        self._outbox = Outbox(self._protocol)
        self._streams: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._is_stop_known = False  # to the peer, whose last requests are all here then
        self._received = memoryview(b"")  # the rest of a large read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._outbox.connect(self._transport)
        self._protocol.initiate_connection()
        self._outbox.collect()
        self._on_open(self)

    def connection_lost(self, _: Exception | None) -> None:
        """The transport is closed."""
        self._lose_streams()
        self._on_close(self)

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self._outbox.pause()

    def resume_writing(self) -> None:
        """The transport's buffer has room again."""
        self._outbox.resume()

    def data_received(self, data: bytes) -> None:
        """Handle the next bytes, so many in each iteration of the loop: the first requests go on meanwhile."""
        if len(data) <= _MOST_AT_ONCE:
            self._receive(data)
            return
        self._transport.pause_reading()
        self._received = memoryview(data)
        self._receive_some()

    def stop(self) -> None:
        """Have the peer begin no more requests, and close the connection when all have ended.

        Those on their way are served: the peer, which answers the ping behind the GOAWAY, could not tell whether they
        were begun (RFC 9113, section 6.8).
        """
        if self._stopping or self._transport.is_closing():
            return
        self._stopping = True
        # Not by h2, which would send nothing more.
        self._outbox.add(GoAwayFrame(last_stream_id=_LARGEST_ID).serialize())
        self._protocol.ping(_STOP_PING)
        self._outbox.collect()

    def abort(self) -> None:
        """Close the connection now."""
        self._transport.abort()

    def _receive_some(self) -> None:
        """Handle some of what a large read has brought, and read on when all of it is handled."""
        if self._transport.is_closing():
            return
        part, self._received = self._received[:_MOST_AT_ONCE], self._received[_MOST_AT_ONCE:]
        if self._received:
            asyncio.get_running_loop().call_soon(self._receive_some)
        else:
            self._transport.resume_reading()
        self._receive(part)

    def _receive(self, data: bytes | memoryview) -> None:
        """Handle bytes; an error in the protocol ends the connection."""
        if self._transport.is_closing():
            return
        try:
            events = self._protocol.receive_data(data)
        except ProtocolError as error:
            log.warning("a connection is closed: its peer has broken the protocol of HTTP/2: %s", error)
            self._close()
            return
        self._outbox.collect()  # the acknowledgement of settings comes before what they allow
        for event in events:
            self._handle(event)
        self._outbox.collect()

    def _handle(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._begin(event.stream_id, event.headers)
        elif isinstance(event, DataReceived):
            stream = self._streams.get(event.stream_id)
            if stream is not None:
                stream.add_body(event.data, event.flow_controlled_length)
            else:
                self._protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, WindowUpdated):
            self._open_window(event.stream_id)
        elif isinstance(event, StreamEnded):
            stream = self._streams.get(event.stream_id)
            if stream is not None:
                stream.end_body()
        elif isinstance(event, StreamReset):
            stream = self._streams.pop(event.stream_id, None)
            if stream is not None:
                stream.lose()
        elif isinstance(event, RemoteSettingsChanged):
            for stream in self._streams.values():
                self._outbox.stream_window_opened(stream.body)
        elif isinstance(event, PingAckReceived):
            self._is_stop_known = self._stopping
            self._close_if_stopped()
        elif isinstance(event, ConnectionTerminated):
            self._close()

    def _open_window(self, stream_id: int) -> None:
        if stream_id == _CONNECTION:
            self._outbox.connection_window_opened()
        elif stream_id in self._streams:
            self._outbox.stream_window_opened(self._streams[stream_id].body)

    def _begin(self, stream_id: int, headers: list[tuple[bytes, bytes]]) -> None:
        state = self._protocol.streams.get(stream_id)
        if state is None or state.closed:
            return  # it was reset in the same read
        stream = self._streams[stream_id] = Stream(self._protocol, self._outbox, stream_id, headers)
        task = background_task(self._run(stream_id, stream), "HTTP request")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, stream_id: int, stream: Stream) -> None:
        try:
            await self._app(stream.scope, stream.receive, stream.send)
        except Exception:
            log.exception("the application failed")
        finally:
            self._streams.pop(stream_id, None)
            stream.end()
            self._close_if_stopped()

    def _close_if_stopped(self) -> None:
        if self._is_stop_known and not self._streams:
            self._close()

    def _close(self) -> None:
        self._outbox.collect()
        self._outbox.flush()
        self._lose_streams()
        self._transport.close()

    def _lose_streams(self) -> None:
        for stream in self._streams.values():
            stream.lose()
        self._streams.clear()
        self._outbox.disconnect()
