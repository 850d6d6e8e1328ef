"""The whole answer that a stream of events carries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chasqui.v1 import chat_pb2, stream_pb2, tool_pb2
from services.fold import ResponseFold
from tests.support.events import completed, delta, finish, fold, response, started

STOP, LENGTH = chat_pb2.FINISH_REASON_STOP, chat_pb2.FINISH_REASON_LENGTH


def choice(
    index: int, text: str, reason: chat_pb2.FinishReason.ValueType = STOP, stop_reason: str | None = None
) -> chat_pb2.Choice:
    """A whole choice: an empty answer still has its one part."""
    message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content=[chat_pb2.ContentPart(text=text)])
    return chat_pb2.Choice(index=index, message=message, finish_reason=reason, stop_reason=stop_reason)


@pytest.mark.parametrize(
    ("events", "choices"),
    [
        ([delta("a"), delta("b"), finish(0)], [choice(0, "ab")]),
        ([finish(0, LENGTH)], [choice(0, "", LENGTH)]),
        ([delta("a"), finish(0, STOP, "\n")], [choice(0, "a", STOP, "\n")]),
        (
            [delta("x", 1), delta("a"), finish(1, LENGTH), delta("b"), finish(0)],
            [choice(0, "ab"), choice(1, "x", LENGTH)],
        ),
    ],
    ids=["text", "empty answer", "stop sequence", "two choices, the second ends first"],
)
def test_events_fold_into_the_answer_that_they_carry(
    events: list[stream_pb2.StreamEvent], choices: list[chat_pb2.Choice]
) -> None:
    assert fold([started(), *events, completed()]) == response(*choices)


def test_an_unmatched_stop_sequence_stays_unset() -> None:
    folded = fold([started(), finish(0), completed()])
    assert not folded.choices[0].HasField("stop_reason")


@pytest.mark.parametrize("events", [[], [started()], [started(), delta("a")], [started(), delta("a"), finish(0)]])
def test_a_response_is_complete_only_after_the_last_event(events: list[stream_pb2.StreamEvent]) -> None:
    fold = ResponseFold()
    for event in events:
        fold.add(event)
    assert not fold.complete
    fold.add(completed())
    assert fold.complete


def test_text_without_an_event_belongs_to_its_choice() -> None:
    fold = ResponseFold()
    for event in (started(), delta("a")):
        fold.add(event)
    fold.add_text(0, "b")
    for event in (finish(0), completed()):
        fold.add(event)
    assert fold.response == response(choice(0, "ab"))


@given(st.lists(st.tuples(st.integers(0, 3), st.text(max_size=4)), max_size=20))
def test_texts_of_choices_do_not_mix(pieces: list[tuple[int, str]]) -> None:
    deltas = [delta(text, index) for index, text in pieces]
    finishes = [finish(index) for index in (2, 0, 3, 1)]
    texts = ["".join(text for index, text in pieces if index == wanted) for wanted in range(4)]
    folded = fold([started(), *deltas, *finishes, completed()])
    assert folded == response(*(choice(index, text) for index, text in enumerate(texts)))


def test_pieces_of_calls_are_folded_into_calls_in_the_order_of_their_index() -> None:
    def delta(index: int, arguments: str, **head: str) -> stream_pb2.StreamEvent:
        piece = tool_pb2.ToolCallDelta(index=index, arguments=arguments, **head)
        return stream_pb2.StreamEvent(delta=stream_pb2.ChoiceDelta(index=0, tool_calls=[piece]))

    finish = stream_pb2.ChoiceFinish(index=0, finish_reason=chat_pb2.FINISH_REASON_TOOL_CALLS)
    response = fold(
        [
            stream_pb2.StreamEvent(started=stream_pb2.Started(id="x")),
            delta(0, '{"a"', id="call_a", name="f"),
            delta(0, ": 1}"),
            delta(1, "{}", id="call_b", name="g"),
            stream_pb2.StreamEvent(finish=finish),
            stream_pb2.StreamEvent(completed=stream_pb2.Completed()),
        ]
    )
    message = response.choices[0].message
    assert not message.content
    assert [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls] == [
        ("call_a", "f", '{"a": 1}'),
        ("call_b", "g", "{}"),
    ]
