"""The events of one call on the Relay, and its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from chasqui.v1 import relay_service_pb2
from services.chat.answer.outbox import Outbox
from services.chat.transport.status import status_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from chasqui.v1 import stream_pb2
    from services.errors import ChasquiError


class RelayedOutbox(Outbox):
    """The outbox of a call with an id; `ended` is set when the call has completed or failed."""

    def __init__(self, call_id: int, *, streamed: bool, on_ready: Callable[[Any], None]) -> None:
        self.ended = asyncio.Event()
        self.call_id = call_id
        super().__init__(streamed=streamed, on_ready=on_ready)

    def complete(self, completed: stream_pb2.Completed) -> None:
        """The end of the answer."""
        super().complete(completed)
        self.ended.set()

    def fail(self, error: ChasquiError) -> None:
        """End with an error, unless the call has ended."""
        if not self.ended.is_set():
            super().fail(error)
            self.ended.set()

    def progress(self) -> relay_service_pb2.CallProgress:
        """The next batch, as one entry of a message; the failure comes with the last."""
        events = self.collect()
        failure = None if self.is_ready else self.failure
        return relay_service_pb2.CallProgress(
            call_id=self.call_id,
            events=events,
            status=None if failure is None else status_of(failure).SerializeToString(),
            tokens=self.tokens,
        )
