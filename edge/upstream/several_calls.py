"""Several streamed calls as one: those of a text completion with several prompts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from chasqui.v1 import stream_pb2
from edge.upstream.merge import longest, moved, total_usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.upstream.transport import ChatStream, TextDelta

    Events = Sequence[stream_pb2.StreamEvent | TextDelta]


class SeveralCalls:
    """The events of all calls: one Started, what the calls generate, and one Completed with the sum of the bills."""

    def __init__(self, calls: Sequence[ChatStream], n: int) -> None:
        """`n` is the number of choices of each call."""
        self.ended = False
        self._calls = calls
        self._n = n
        self._reads: dict[asyncio.Task[Events], int] = {}
        self._completed: list[stream_pb2.Completed] = []

    async def read(self) -> Events:
        """The next events, at least one; raises the error of the first call that fails.

        The first events come when all calls have been accepted. With the last ones `ended` turns true.
        """
        if not self._reads:
            for number in range(len(self._calls)):
                self._read(number)
            await asyncio.gather(*self._reads)
        events: list[stream_pb2.StreamEvent | TextDelta] = []
        while not events:
            done, _ = await asyncio.wait(self._reads, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                number = self._reads.pop(task)
                events += self._gathered(number, task.result())
                if not self._calls[number].ended:
                    self._read(number)
        return events

    def cancel(self) -> None:
        """End all calls; without effect on those that have ended."""
        for task in self._reads:
            task.cancel()
        for call in self._calls:
            call.cancel()

    def _read(self, number: int) -> None:
        self._reads[asyncio.ensure_future(self._calls[number].read())] = number

    def _gathered(self, number: int, events: Events) -> Events:
        """What of a call's events belongs into the answer."""
        gathered: list[stream_pb2.StreamEvent | TextDelta] = []
        for event in events:
            if isinstance(event, stream_pb2.StreamEvent) and event.HasField("started") and number:
                continue
            if isinstance(event, stream_pb2.StreamEvent) and event.HasField("completed"):
                self._completed.append(event.completed)
                if len(self._completed) < len(self._calls):
                    continue
                self.ended = True
                usage = total_usage([completed.usage for completed in self._completed])
                timings = longest([completed.timings for completed in self._completed])
                gathered.append(stream_pb2.StreamEvent(completed=stream_pb2.Completed(usage=usage, timings=timings)))
            else:
                gathered.append(moved(event, number * self._n))
        return gathered
