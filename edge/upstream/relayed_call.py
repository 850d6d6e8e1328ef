"""A call on the Relay: the stream's reader hands its events on as they arrive, without a task per event."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from google.rpc.status_pb2 import Status

from edge.upstream.upstream_error import error_of_status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chasqui.v1 import relay_service_pb2, stream_pb2
    from edge.upstream.transport import EventSink


class _EarlyEvents:
    """Keeps what arrives before `forward` names the sink."""

    def __init__(self) -> None:
        self.events: list[stream_pb2.StreamEvent | tuple[int, str]] = []

    def add_text(self, index: int, content: str) -> None:
        """The next text of a choice."""
        self.events.append((index, content))

    def add_all(self, events: Sequence[stream_pb2.StreamEvent]) -> None:
        """The next events."""
        self.events += events

    def replay(self, sink: EventSink) -> None:
        """Hand everything to `sink`, in its order."""
        for event in self.events:
            if isinstance(event, tuple):
                sink.add_text(*event)
            else:
                sink.add_all([event])


class RelayedCall:
    """The edge's side of a call.

    `metadata` is that of its Submit, `begun` its first event. `tokens` and `characters` count what has arrived so far,
    in all choices. `on_end` is called once no more events are wanted: with True if the server is still generating and
    must cancel the call.
    """

    def __init__(self, metadata: Mapping[str, str], on_end: Callable[[bool], None], *, streamed: bool) -> None:
        self.metadata = metadata
        self.streamed = streamed
        self.begun: stream_pb2.Started | None = None
        self.tokens = 0
        self.characters = 0
        self._on_end = on_end
        self._early = _EarlyEvents()
        self._sink: EventSink = self._early
        self._ended = False  # Completed has been delivered, or the call was cancelled
        self._failure: BaseException | None = None
        self._changed: asyncio.Future[None] | None = None

    async def started(self) -> stream_pb2.Started:
        """Wait until the server has accepted the call, and return that event; raises its refusal as a ChasquiError."""
        while self.begun is None:
            await self._change()
        return self.begun

    async def forward(self, sink: EventSink) -> None:
        """Hand every event to `sink`, from Started to Completed.

        Raises the server's error as a ChasquiError once the events before it are delivered, or the error of `sink`.
        """
        self._early.replay(sink)
        self._sink = sink
        while not self._ended:
            await self._change()

    def cancel(self) -> None:
        """End the call; without effect if it has ended."""
        if not self._ended:
            self._ended = True
            self._on_end(self._failure is None)
        # A raised error holds a traceback, whose frames hold this call: breaks that reference cycle.
        self._failure = None

    def deliver_text(self, index: int, content: str) -> None:
        """The next text of a choice. The one method that is called for nearly every token."""
        self.characters += len(content)
        try:
            self._sink.add_text(index, content)
        except Exception as error:  # noqa: BLE001 - raised by `forward`; other calls go on
            self._reject(error)

    def deliver(self, progress: relay_service_pb2.CallProgress) -> None:
        """The next events, or the error, of the call."""
        self.tokens = progress.tokens
        events = progress.events
        if events:
            if self.begun is None:
                self.begun = events[0].started
            self.characters += sum(len(event.delta.content) for event in events)
            try:
                self._sink.add_all(events)
            except Exception as error:  # noqa: BLE001 - raised by `forward`; other calls go on
                self._reject(error)
                return
            if events[-1].HasField("completed"):
                self._ended = True
                self._on_end(False)
        if progress.HasField("status"):
            self._failure = error_of_status(Status.FromString(progress.status))
        self._notify()

    def fail(self, error: BaseException) -> None:
        """End the call with an error that comes after the events that have arrived."""
        self._failure = error
        self._notify()

    def _reject(self, error: Exception) -> None:
        """The sink takes no more: the server need not go on."""
        self._on_end(True)
        self.fail(error)

    def _notify(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def _change(self) -> None:
        """Wait for news; raises the failure if there is one."""
        if self._failure is not None:
            raise self._failure
        self._changed = asyncio.get_running_loop().create_future()
        await self._changed
