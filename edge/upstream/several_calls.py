"""Several calls as one: those of a text completion with several prompts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from chasqui.v1 import chat_pb2, stream_pb2
from edge.upstream.merge import begun, longest, moved, total_usage
from services.tasks import awaited_task

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence

    from edge.upstream.transport import ChatStream, EventSink

Result = TypeVar("Result")


class SeveralCalls:
    """The events of all calls: one Started, what the calls generate, and one Completed with the sum of their usage."""

    def __init__(self, calls: Sequence[ChatStream], n: int) -> None:
        """`n` is the number of choices of each call."""
        self._calls = calls
        self._n = n
        self._begun = stream_pb2.Started()

    async def started(self) -> stream_pb2.Started:
        """Wait until the server has accepted all calls, and return what begins the answer; raises the first refusal."""
        self._begun = begun(await _all(call.started() for call in self._calls))
        return self._begun

    async def forward(self, sink: EventSink) -> None:
        """Hand the events of all started calls to `sink` as they arrive; raises the error of the first that fails."""
        sink.add_all([stream_pb2.StreamEvent(started=self._begun)])
        so_far = [chat_pb2.Usage() for _ in self._calls]
        sinks = [_CallSink(sink, number, self._n, so_far) for number in range(len(self._calls))]
        await _all(call.forward(own) for call, own in zip(self._calls, sinks, strict=True))
        usage = total_usage([own.completed.usage for own in sinks])
        timings = longest([own.completed.timings for own in sinks])
        sink.add_all([stream_pb2.StreamEvent(completed=stream_pb2.Completed(usage=usage, timings=timings))])

    def cancel(self) -> None:
        """End all calls; without effect on those that have ended."""
        for call in self._calls:
            call.cancel()


class _CallSink:
    """Passes the events of call `number` on, its choices numbered further; `completed` is kept.

    `so_far` is the usage of all calls, as far as their events carry it.
    """

    def __init__(self, sink: EventSink, number: int, n: int, so_far: list[chat_pb2.Usage]) -> None:
        self.completed = stream_pb2.Completed()
        self._sink = sink
        self._number = number
        self._by = number * n
        self._so_far = so_far

    def add_text(self, index: int, content: str) -> None:
        """The next text of a choice."""
        self._sink.add_text(index + self._by, content)

    def add_all(self, events: Sequence[stream_pb2.StreamEvent]) -> None:
        """The next events."""
        passed = []
        for event in events:
            if event.HasField("usage_so_far"):
                self._so_far[self._number] = event.usage_so_far
            if event.HasField("completed"):
                self.completed.CopyFrom(event.completed)
            elif not event.HasField("started"):  # the answer has one of its own
                passed.append(moved(event, self._by))
                if event.HasField("usage_so_far"):
                    passed[-1].usage_so_far.CopyFrom(total_usage(self._so_far))
        if passed:
            self._sink.add_all(passed)


async def _all(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run everything at once and return the results; the first that fails ends the others."""
    tasks = [awaited_task(one, "call of several") for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
