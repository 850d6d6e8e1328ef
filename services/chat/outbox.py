"""Where the events of one call gather while a message is being written; it has no timers.

Idle, each token leaves at once. Under load the text of a choice merges until the writer comes for it, so batches
grow by themselves. Order holds per choice.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from chasqui.v1 import stream_pb2

if TYPE_CHECKING:
    from chasqui.v1.chat_pb2 import FinishReason
    from services.errors import ChasquiError


class Outbox:
    """Filled by an engine's callbacks, emptied by one writer; both run in the event loop's thread.

    Not `streamed`, it lets its writer sleep until the call has ended: the first batch is the whole answer.
    """

    def __init__(self, *, streamed: bool) -> None:
        self._streamed = streamed
        self._text: dict[int, list[str]] = {}
        self._finishes: list[stream_pb2.StreamEvent] = []
        self._completed: stream_pb2.StreamEvent | None = None
        self._error: ChasquiError | None = None
        self._filled = asyncio.Event()

    def add_text(self, choice: int, text: str) -> None:
        """The next text of a choice."""
        pending = self._text.get(choice)
        if pending is None:
            self._text[choice] = [text]
        else:
            pending.append(text)
        if self._streamed:
            self._filled.set()

    def add_finish(self, choice: int, reason: FinishReason.ValueType, stop_reason: str | None) -> None:
        """The end of a choice, after all of its text."""
        finish = stream_pb2.ChoiceFinish(index=choice, finish_reason=reason, stop_reason=stop_reason)
        self._finishes.append(stream_pb2.StreamEvent(finish=finish))
        if self._streamed:
            self._filled.set()

    def complete(self, completed: stream_pb2.Completed) -> None:
        """The end of the answer."""
        self._completed = stream_pb2.StreamEvent(completed=completed)
        self._filled.set()

    def fail(self, error: ChasquiError) -> None:
        """End with an error; what has gathered before is still delivered."""
        self._error = error
        self._filled.set()

    async def take(self) -> list[stream_pb2.StreamEvent]:
        """Everything that has gathered, at least one event. An error is raised, in a stream once that is delivered.

        The last batch ends with a Completed event; nobody may call this afterwards.
        """
        await self._filled.wait()
        self._filled.clear()
        events = [
            stream_pb2.StreamEvent(delta=stream_pb2.ChoiceDelta(index=choice, content="".join(parts)))
            for choice, parts in self._text.items()
        ]
        events += self._finishes
        self._text.clear()
        self._finishes.clear()
        if self._error is not None:
            if not events or not self._streamed:
                raise self._error
            self._filled.set()
        elif self._completed is not None:
            events.append(self._completed)
        return events
