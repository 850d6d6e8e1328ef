"""Several calls as one answer: how it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2, stream_pb2
from edge.api.whole_answer import WholeAnswer
from edge.upstream.several_calls import SeveralCalls
from tests.support import events

if TYPE_CHECKING:
    from edge.upstream.transport import EventSink


class Call:
    """A call that was accepted when the limits stood at these numbers."""

    def __init__(self, answer_id: str, **remaining: int) -> None:
        self._started = events.started()
        self._started.started.id = answer_id
        for name, value in remaining.items():
            getattr(self._started.started.rate_limits, name).remaining = value

    async def started(self) -> stream_pb2.Started:
        return self._started.started

    async def forward(self, sink: EventSink) -> None:
        sink.add_all([self._started, events.delta("a"), events.finish(), events.completed()])

    def cancel(self) -> None:
        """Nothing runs."""


def _limits_of(message: stream_pb2.Started | chat_service_pb2.ChatResponse) -> chat_pb2.RateLimits | None:
    return message.rate_limits if message.HasField("rate_limits") else None


@pytest.mark.parametrize(
    ("remaining", "least"),
    [
        ([{"requests": 9, "tokens": 100}, {"requests": 10, "tokens": 200}], 0),
        ([{"requests": 10}, {"requests": 9}], 1),
        ([{"tokens": 1000}, {"tokens": 200}], 1),
        ([{}, {}], 0),
    ],
)
async def test_an_answer_shows_the_limits_after_all_calls_streamed_and_whole(
    remaining: list[dict[str, int]], least: int
) -> None:
    calls: list[Any] = [Call(f"cmpl-{number}", **given) for number, given in enumerate(remaining)]
    expected = {name: chat_pb2.RateLimit(remaining=value) for name, value in remaining[least].items()}
    limits = chat_pb2.RateLimits(**expected) if expected else None
    several = SeveralCalls(calls, 1)
    started = await several.started()
    assert (started.id, _limits_of(started)) == ("cmpl-0", limits)
    answer = WholeAnswer(lambda *_: [])
    await several.forward(answer)
    assert (answer.response.id, _limits_of(answer.response)) == ("cmpl-0", limits)
    assert [choice.index for choice in answer.response.choices] == [0, 1]
