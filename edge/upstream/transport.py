"""How chat calls reach the chat server: over the Relay, or with one RPC per call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1 import chat_service_pb2, stream_pb2
    from edge.http.call_options import CallOptions


class EventSink(Protocol):
    """Takes the events of a call as they arrive, in the task that reads them: it must not wait.

    An error that it raises ends the call, and no other.
    """

    def add_text(self, index: int, content: str) -> None:
        """The next text of a choice: an event that is nothing but that."""

    def add_all(self, events: Sequence[stream_pb2.StreamEvent]) -> None:
        """The next events, at least one; the last of a call is Completed."""


class ChatStream(Protocol):
    """A call, whose answer comes in events."""

    async def started(self) -> stream_pb2.Started:
        """Wait until the server has accepted the call, and return that event; raises its refusal as a ChasquiError."""

    async def forward(self, sink: EventSink) -> None:
        """Hand every event to `sink`, from Started to Completed; comes right after `started`.

        Raises the server's error as a ChasquiError once the events before it are delivered, or the error of `sink`.
        """

    def cancel(self) -> None:
        """End the call; without effect if it has ended."""


class Transport(Protocol):
    """A connection for chat calls. While it is not `connected`, calls fail at once."""

    connected: bool

    def submit(self, request: chat_service_pb2.ChatRequest, options: CallOptions, *, streamed: bool) -> ChatStream:
        """Begin a call; the caller must cancel() it at the end. One that is not `streamed` may come in few events."""

    async def run(self) -> None:
        """Keep the connection open until cancelled."""

    async def close(self) -> None:
        """Close the connection."""
