"""How chat calls reach the chat server: over the Relay, or with one RPC per call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1 import chat_service_pb2, stream_pb2
    from edge.http.call_options import CallOptions


# An event that is nothing but the next text of a choice: the choice's index, and the text.
TextDelta = tuple[int, str]


class ChatStream(Protocol):
    """The events of a streamed call."""

    ended: bool

    async def read(self) -> Sequence[stream_pb2.StreamEvent | TextDelta]:
        """The next events, at least one; raises the server's error as a ChasquiError.

        `ended` is true once the last of them are returned; read() must not be called after that.
        """

    def cancel(self) -> None:
        """End the call; without effect if it has ended."""


class Transport(Protocol):
    """A connection for chat calls. While it is not `connected`, calls fail at once."""

    connected: bool

    async def chat(self, request: chat_service_pb2.ChatRequest, options: CallOptions) -> chat_service_pb2.ChatResponse:
        """The whole answer; raises the server's error as a ChasquiError. Cancelling this cancels the call."""

    def stream_chat(self, request: chat_service_pb2.ChatRequest, options: CallOptions) -> ChatStream:
        """A streamed call; the caller must cancel() it at the end."""

    async def run(self) -> None:
        """Keep the connection open until cancelled."""

    async def close(self) -> None:
        """Close the connection."""
