"""Where the events of one call gather while a message is being written; it has no timers.

Idle, each token leaves at once. Under load the text of a choice merges until the writer comes for it, so batches
grow by themselves. Order holds per choice.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from chasqui.v1 import stream_pb2, tool_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from chasqui.v1.chat_pb2 import FinishReason
    from services.errors import ChasquiError

# Characters of a streamed answer that may wait for a caller who does not read them.
MOST_UNREAD: Final = 1024 * 1024


class _Gathered:
    """What has come for one choice since the last message; text and calls are separate parts of an answer."""

    __slots__ = ("calls", "text")

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

    `on_ready` is called when there is something to collect, once until it is collected. Not `streamed`, that is when
    the call has ended: the first batch is the whole answer.
    """

    def __init__(self, *, streamed: bool, on_ready: Callable[[], None]) -> None:
        self.streamed = streamed
        self.unread = 0  # characters, counted for streamed answers
        self.failure: ChasquiError | None = None  # set when the call has failed
        self._on_ready = on_ready
        self._announced = False
        self._started: stream_pb2.Started | None = None
        self._deltas: dict[int, _Gathered] = {}
        self._finishes: list[stream_pb2.StreamEvent] = []
        self._completed: stream_pb2.Completed | None = None

    def start(self, started: stream_pb2.Started) -> None:
        """The call was accepted."""
        self._started = started
        self._added()

    def add_text(self, choice: int, text: str) -> None:
        """The next text of a choice."""
        self._gathered(choice).text.append(text)
        self._added(len(text))

    def start_call(self, choice: int, index: int, call_id: str, name: str) -> None:
        """A tool call of a choice begins."""
        self._gathered(choice).calls[index] = (call_id, name, [])
        self._added(len(name))

    def add_arguments(self, choice: int, index: int, text: str) -> None:
        """The next piece of a call's arguments."""
        self._gathered(choice).calls.setdefault(index, (None, None, []))[2].append(text)
        self._added(len(text))

    def add_finish(self, choice: int, reason: FinishReason.ValueType, stop_reason: str | None) -> None:
        """The end of a choice, after all of its text."""
        finish = stream_pb2.ChoiceFinish(index=choice, finish_reason=reason, stop_reason=stop_reason)
        self._finishes.append(stream_pb2.StreamEvent(finish=finish))
        self._added()

    def complete(self, completed: stream_pb2.Completed) -> None:
        """The end of the answer."""
        self._completed = completed
        self._announce()

    def fail(self, error: ChasquiError) -> None:
        """End with an error; of a streamed answer, what has gathered before is still delivered."""
        self.failure = error
        if not self.streamed:
            self._deltas.clear()
            self._finishes.clear()
            self._started = None
        self._announce()

    def collect(self) -> list[stream_pb2.StreamEvent]:
        """Everything that has gathered. The last batch of an answer ends with Completed, if there was no failure."""
        self._announced = False
        self.unread = 0
        events = []
        if self._started is not None:
            events.append(stream_pb2.StreamEvent(started=self._started))
            self._started = None
        if self._deltas:
            events += [
                stream_pb2.StreamEvent(delta=gathered.delta(choice)) for choice, gathered in self._deltas.items()
            ]
            self._deltas.clear()
        if self._finishes:
            events += self._finishes
            self._finishes.clear()
        if self._completed is not None:
            events.append(stream_pb2.StreamEvent(completed=self._completed))
        return events

    def _gathered(self, choice: int) -> _Gathered:
        gathered = self._deltas.get(choice)
        if gathered is None:
            gathered = self._deltas[choice] = _Gathered()
        return gathered

    def _added(self, characters: int = 0) -> None:
        if self.streamed:
            self.unread += characters
            self._announce()

    def _announce(self) -> None:
        if not self._announced:
            self._announced = True
            self._on_ready()


class AwaitedOutbox(Outbox):
    """The outbox of an RPC that carries one call and waits for its events."""

    def __init__(self, *, streamed: bool) -> None:
        self._filled = asyncio.Event()
        super().__init__(streamed=streamed, on_ready=self._filled.set)

    async def take(self) -> list[stream_pb2.StreamEvent]:
        """Everything that has gathered, at least one event. A failure is raised, in a stream once that is delivered.

        The last batch ends with a Completed event; nobody may call this afterwards.
        """
        await self._filled.wait()
        self._filled.clear()
        events = self.collect()
        if self.failure is not None:
            if not events:
                raise self.failure
            self._filled.set()
        return events
