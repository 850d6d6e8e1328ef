"""The calls of one line of a batch, tried until there is an answer or an error that another try would not change."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from chasqui.v1 import chat_pb2, stream_pb2
from edge.api.asked import errors_named
from edge.batches.line import answered, asked_of, call_id, refused, request_id
from edge.http.call_options import CallOptions
from edge.upstream.several_calls import SeveralCalls
from services.accounts.ledger.entry import LOST, LedgerEntry
from services.accounts.prices.money import PICODOLLARS
from services.errors import ChasquiError, Code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.api.asked import Asked
    from edge.api.whole_answer import WholeAnswer
    from edge.upstream.transport import ChatStream, EventSink, Transport
    from services.batches.record import ClaimedLine

log = logging.getLogger(__name__)

# A call that was not accepted, or not for now, is made again; one that failed in the engine a few times.
_NOT_NOW: Final = frozenset({Code.UNAVAILABLE, Code.CANCELLED})
_NOT_NOW_REASONS: Final = frozenset({"RESOURCE_UNAVAILABLE", "RATE_LIMIT_EXCEEDED", "INSUFFICIENT_QUOTA"})
_FAILED: Final = frozenset({Code.INTERNAL, Code.UNKNOWN})
_MOST_ATTEMPTS: Final = 5
_SHORTEST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0


@dataclass(frozen=True, slots=True)
class Result:
    """The line of the output file, or of the error file; `calls` are the rows of an answer in the ledger."""

    text: str
    succeeded: bool
    calls: Sequence[LedgerEntry] = ()


class _NotedCall:
    """A call that keeps how it began and how it ended, and passes its events on."""

    def __init__(self, call: ChatStream) -> None:
        self.began = stream_pb2.Started()
        self.ended = stream_pb2.Completed()
        self._call = call
        self._sink: EventSink

    async def started(self) -> stream_pb2.Started:
        """As of the call."""
        self.began = await self._call.started()
        return self.began

    async def forward(self, sink: EventSink) -> None:
        """As of the call."""
        self._sink = sink
        await self._call.forward(self)

    def cancel(self) -> None:
        """As of the call."""
        self._call.cancel()

    def add_text(self, index: int, content: str) -> None:
        """The next text of a choice."""
        self._sink.add_text(index, content)

    def add_all(self, events: Sequence[stream_pb2.StreamEvent]) -> None:
        """The next events."""
        for event in events:
            if event.HasField("completed"):
                self.ended = event.completed
        self._sink.add_all(events)


async def result_of(claimed: ClaimedLine, data: bytes, transport: Transport) -> Result:
    """The result of a line. Takes as long as it takes."""
    line = claimed.line
    failures = 0
    while True:
        try:
            asked = asked_of(data, claimed.endpoint)
            answer, calls = await _answered(asked, claimed, transport)
            rows = [_row(claimed, call) for call in calls]
            return Result(answered(line, b"".join(answer.json())), True, rows)
        except ChasquiError as error:
            failures += error.code in _FAILED
            if not _may_succeed(error) or failures + line.attempts > _MOST_ATTEMPTS:
                return Result(refused(line, error), False)
            pause = min(max(error.retry_after or 0.0, _SHORTEST_PAUSE), _LONGEST_PAUSE)
        await asyncio.sleep(pause)


def _may_succeed(error: ChasquiError) -> bool:
    return error.code in _NOT_NOW or error.code in _FAILED or error.reason in _NOT_NOW_REASONS


async def _answered(
    asked: Asked, claimed: ClaimedLine, transport: Transport
) -> tuple[WholeAnswer, Sequence[_NotedCall]]:
    """The answer to what the line asked for, and its calls; raises the ChasquiError that refuses or ends one."""
    answer = asked.new_answer()
    with errors_named(asked.field_of):
        calls = _start(asked, claimed, transport)
        call = calls[0] if len(calls) == 1 else SeveralCalls(calls, asked.n)
        try:
            await call.started()
            await call.forward(answer)
        finally:
            call.cancel()
    return answer, calls


def _row(claimed: ClaimedLine, call: _NotedCall) -> LedgerEntry:
    """The call as the ledger has it until the server's own row is there."""
    usage, timings = call.ended.usage, call.ended.timings
    return LedgerEntry(
        call_id=call.began.id,
        at=datetime.now(UTC),
        key=claimed.account,
        owner="",
        user="",
        model=call.began.model,
        endpoint=claimed.endpoint.removeprefix("/v1/"),
        outcome=LOST,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
        price="estimated_cost",
        cost=round(usage.estimated_cost * PICODOLLARS),
        seconds=timings.total.ToMicroseconds() / 1e6,
        queue_seconds=timings.queue.ToMicroseconds() / 1e6,
    )


def _start(asked: Asked, claimed: ClaimedLine, transport: Transport) -> Sequence[_NotedCall]:
    calls: list[_NotedCall] = []
    try:
        for number, request in enumerate(asked.requests):
            request.service_tier = chat_pb2.SERVICE_TIER_FLEX
            calls.append(_NotedCall(transport.submit(request, _options(claimed, number), streamed=False)))
    except ChasquiError:
        for call in calls:
            call.cancel()
        raise
    return calls


def _options(claimed: ClaimedLine, number: int) -> CallOptions:
    """The metadata of a call for the account of the batch."""
    return CallOptions(
        (
            ("x-account", claimed.account),
            ("x-call-id", call_id(claimed.line, number)),
            ("x-endpoint", claimed.endpoint.removeprefix("/v1/")),
            ("x-request-id", request_id(claimed.line)),
        )
    )
