"""What holds for the writer of every API: a stream is the whole answer, however it is cut and merged."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chasqui.v1 import chat_pb2, stream_pb2, tool_pb2
from services.errors import EngineFailed
from tests.support import events
from tests.support.writers import APIS, events_in

if TYPE_CHECKING:
    from edge.api.whole_answer import WholeAnswer
    from edge.api.writer import Writer

every_api = pytest.mark.parametrize("name", APIS)
texts = st.text(st.characters(codec="utf-8"), max_size=12)
arguments = st.dictionaries(texts, st.integers() | texts, max_size=3).map(json.dumps)
# Pieces of an answer in their order: a text, or a call as its name and arguments.
answers = st.lists(texts | st.tuples(st.sampled_from(["look", "find"]), arguments), max_size=5)
ends = st.sampled_from(
    [
        (chat_pb2.FINISH_REASON_STOP, None),
        (chat_pb2.FINISH_REASON_STOP, "END"),
        (chat_pb2.FINISH_REASON_LENGTH, None),
        (chat_pb2.FINISH_REASON_TOOL_CALLS, None),
    ]
)


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(edges) if end > start]


@st.composite
def streams(draw: st.DrawFn, *, calls: bool, scored: bool = False) -> list[stream_pb2.StreamEvent]:
    """The events of one choice, as a server sends them that keeps up, or merges some of them under load.

    If it is `scored`, every text before the first call has its log probabilities.
    """
    stream = [events.started()]
    count = 0
    for piece in draw(answers):
        places = draw(st.lists(st.integers(0, 30), max_size=3))
        if isinstance(piece, str):
            stream += [_text_delta(part, scored=scored and not count) for part in cut(piece, places)]
        elif calls:
            name, text = piece
            first = tool_pb2.ToolCallDelta(index=count, id=f"call_{count}", name=name)
            rest = [tool_pb2.ToolCallDelta(index=count, arguments=part) for part in cut(text, places)]
            stream += [_call_delta(first), *map(_call_delta, rest)]
            count += 1
    reason, stop = draw(ends)
    merged = _merged(stream, draw(st.lists(st.booleans(), min_size=len(stream), max_size=len(stream))))
    return [*merged, events.finish(0, reason, stop), events.completed()]


def _text_delta(text: str, *, scored: bool) -> stream_pb2.StreamEvent:
    event = events.delta(text)
    for character in text if scored else "":
        top = chat_pb2.TopLogprob(token="x", logprob=-1.5, bytes=b"x")
        entry = event.delta.logprobs.content.add(token=character, logprob=-0.5, bytes=character.encode())
        entry.top_logprobs.append(top)
    return event


def _call_delta(call: tool_pb2.ToolCallDelta) -> stream_pb2.StreamEvent:
    return stream_pb2.StreamEvent(delta=stream_pb2.ChoiceDelta(tool_calls=[call]))


def _merged(stream: list[stream_pb2.StreamEvent], with_next: list[bool]) -> list[stream_pb2.StreamEvent]:
    """Deltas that gather, as an outbox has it: their text is one, and the parts of each call are one.

    Text behind a call that begins in a delta begins another delta.
    """
    merged: list[stream_pb2.StreamEvent] = []
    for event, joins in zip(stream, with_next, strict=True):
        has_begun = bool(merged) and any(call.HasField("id") for call in merged[-1].delta.tool_calls)
        if not (joins and merged and merged[-1].HasField("delta")) or (event.delta.content and has_begun):
            merged.append(stream_pb2.StreamEvent())
            merged[-1].CopyFrom(event)
            continue
        into = merged[-1].delta
        into.content += event.delta.content
        into.logprobs.content.extend(event.delta.logprobs.content)
        if not into.logprobs.content:
            into.ClearField("logprobs")
        for call in event.delta.tool_calls:
            if into.tool_calls and into.tool_calls[-1].index == call.index:
                into.tool_calls[-1].arguments += call.arguments
            else:
                into.tool_calls.add().CopyFrom(call)
    return merged


def written(writer: Writer, stream: list[stream_pb2.StreamEvent]) -> bytes:
    """A stream as the endpoint writes it: deltas that are nothing but text go another way than all others."""
    data = b""
    for event in stream:
        if event.delta.content and not event.delta.tool_calls and not event.delta.HasField("logprobs"):
            data += writer.text(event.delta.index, event.delta.content)
        else:
            data += writer.others([event])
    return data + writer.end()


def whole(answer: WholeAnswer, stream: list[stream_pb2.StreamEvent]) -> bytes:
    """The same stream, collected."""
    answer.add_all(stream)
    return b"".join(answer.json())


@every_api
@given(data=st.data())
def test_however_an_answer_is_cut_and_merged_its_stream_is_the_whole_answer(name: str, data: st.DataObject) -> None:
    api = APIS[name]
    scored = api.scored is not None and data.draw(st.booleans())
    fields: Any = api.scored if scored else {}
    stream = data.draw(streams(calls=api.has_calls, scored=scored))
    streamed = api.streamed(written(api.asked(stream=True, **fields).new_writer(), stream))
    answer = api.asked(**fields).new_answer()
    assert streamed == api.whole(whole(answer, stream))
    [choice] = answer.response.choices
    assert streamed.text == "".join(part.text for part in choice.message.content)
    assert streamed.calls == [(call.function.name, call.function.arguments) for call in choice.message.tool_calls]
    first_call = next((place for place, event in enumerate(stream) if event.delta.tool_calls), len(stream))
    before = "".join(event.delta.content for event in stream[: first_call + 1])
    assert "".join(entry["token"] for entry in streamed.logprobs) == (before if scored else "")


@pytest.mark.parametrize("name", ["messages", "responses"])
def test_texts_and_calls_are_in_the_order_in_which_they_came_streamed_and_whole(name: str) -> None:
    api = APIS[name]
    calls = [tool_pb2.ToolCallDelta(index=index, id=f"c{index}", name=f"f{index}", arguments="{}") for index in (0, 1)]
    deltas = [events.delta("a"), _call_delta(calls[0]), events.delta("b"), _call_delta(calls[1]), events.delta("c")]
    stream = [events.started(), *deltas, events.finish(), events.completed()]
    order = ["a", "f0", "b", "f1", "c"]
    assert api.streamed(written(api.asked(stream=True).new_writer(), stream)).order == order
    assert api.whole(whole(api.asked().new_answer(), stream)).order == order


@every_api
@pytest.mark.parametrize(
    "text", ["\n", "\r\n", "a\n\ndata: [DONE]\n\n", "\u2028\u0085", "¡Hola! 🏃", '"\\', "\0", '"}']
)
def test_whatever_a_text_holds_it_stays_in_one_event(name: str, text: str) -> None:
    writer = APIS[name].asked(stream=True).new_writer()
    writer.others([events.started()])
    assert writer.text(0, "before")
    [(_, event)] = events_in(writer.text(0, text))
    assert text in strings(event)


def strings(value: object) -> list[str]:
    """Every string in a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [found for item in value for found in strings(item)]
    return [value] if isinstance(value, str) else []


@every_api
def test_a_failure_is_the_last_event_and_names_what_happened(name: str) -> None:
    writer = APIS[name].asked(stream=True).new_writer()
    data = writer.others([events.started()]) + writer.text(0, "Hel")
    _, event = events_in(writer.failed(EngineFailed("The engine broke.")))[-1]
    assert "The engine broke." in json.dumps(event)
    assert "[DONE]" not in data.decode()
