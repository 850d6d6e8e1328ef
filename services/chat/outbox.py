"""Where the events of one call gather while a message is being written; it has no timers.

Idle, each token leaves at once. Under load the text of a choice merges until the writer comes for it, so batches
grow by themselves. Order holds per choice.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from chasqui.v1 import stream_pb2, tool_pb2

if TYPE_CHECKING:
    from chasqui.v1.chat_pb2 import FinishReason
    from services.errors import ChasquiError


class _Gathered:
    """What has come for one choice since the last message; text and calls are separate parts of an answer."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.calls: dict[int, tuple[str | None, str | None, list[str]]] = {}

    def delta(self, choice: int) -> stream_pb2.ChoiceDelta:
        calls = [
            tool_pb2.ToolCallDelta(index=index, id=call_id, name=name, arguments="".join(arguments))
            for index, (call_id, name, arguments) in self.calls.items()
        ]
        return stream_pb2.ChoiceDelta(index=choice, content="".join(self.text), tool_calls=calls)


class Outbox:
    """Filled by an engine's callbacks, emptied by one writer; both run in the event loop's thread.

    Not `streamed`, it lets its writer sleep until the call has ended: the first batch is the whole answer.
    """

    def __init__(self, *, streamed: bool) -> None:
        self._streamed = streamed
        self._deltas: dict[int, _Gathered] = {}
        self._finishes: list[stream_pb2.StreamEvent] = []
        self._completed: stream_pb2.StreamEvent | None = None
        self._error: ChasquiError | None = None
        self._filled = asyncio.Event()

    def add_text(self, choice: int, text: str) -> None:
        """The next text of a choice."""
        self._gathered(choice).text.append(text)
        if self._streamed:
            self._filled.set()

    def start_call(self, choice: int, index: int, call_id: str, name: str) -> None:
        """A tool call of a choice begins."""
        self._gathered(choice).calls[index] = (call_id, name, [])
        if self._streamed:
            self._filled.set()

    def add_arguments(self, choice: int, index: int, text: str) -> None:
        """The next piece of a call's arguments."""
        self._gathered(choice).calls.setdefault(index, (None, None, []))[2].append(text)
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

    def _gathered(self, choice: int) -> _Gathered:
        gathered = self._deltas.get(choice)
        if gathered is None:
            gathered = self._deltas[choice] = _Gathered()
        return gathered

    async def take(self) -> list[stream_pb2.StreamEvent]:
        """Everything that has gathered, at least one event. An error is raised, in a stream once that is delivered.

        The last batch ends with a Completed event; nobody may call this afterwards.
        """
        await self._filled.wait()
        self._filled.clear()
        events = [stream_pb2.StreamEvent(delta=gathered.delta(choice)) for choice, gathered in self._deltas.items()]
        events += self._finishes
        self._deltas.clear()
        self._finishes.clear()
        if self._error is not None:
            if not events or not self._streamed:
                raise self._error
            self._filled.set()
        elif self._completed is not None:
            events.append(self._completed)
        return events
