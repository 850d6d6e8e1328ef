"""The bytes of a whole response are those of the response that its events fold into."""

from __future__ import annotations

import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2, stream_pb2
from services.chat.transport.serialized_response import SerializedResponse
from tests.support.events import completed, delta, finish, fold, started


def scored(texts: str, choice: int = 0) -> stream_pb2.StreamEvent:
    """The characters of a text as tokens, each with its log probability and a candidate."""
    event = delta(texts, choice)
    for text in texts:
        top = [chat_pb2.TopLogprob(token=text, logprob=-0.5, bytes=text.encode())]
        event.delta.logprobs.content.add(token=text, logprob=-0.5, bytes=text.encode(), top_logprobs=top)
    return event


@pytest.mark.parametrize(
    "events",
    [
        [finish(0)],
        [delta("a"), delta("b"), finish(0)],
        [scored("ab"), scored("c"), finish(0)],
        [scored("x", 1), scored("a"), finish(1), scored("b" * 300), finish(0)],
        [scored("a"), delta("x", 1), finish(0), finish(1)],
    ],
    ids=["empty", "text", "scores", "two choices, the second ends first", "scores of one choice"],
)
def test_the_bytes_are_those_of_the_response(events: list[stream_pb2.StreamEvent]) -> None:
    whole = [started(), *events, completed()]
    expected = fold(whole)
    response = SerializedResponse()
    for event in whole:
        assert not response.complete
        response.add(event)
    assert response.complete
    assert response.timings == expected.timings
    data = response.data()
    assert chat_service_pb2.ChatResponse.FromString(data) == expected
    assert len(data) == expected.ByteSize()
    assert len(data) <= response.size + 16 * len(expected.choices)
