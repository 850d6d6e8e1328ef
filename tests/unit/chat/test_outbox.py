"""Events gather while the writer is away, and leave in order."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chasqui.v1 import chat_pb2, stream_pb2
from edge.api.whole_answer import OrderedAnswer
from services.chat.answer.outbox import BATCH, AwaitedOutbox
from services.errors import EngineFailed
from tests.support.events import all_taken, completed, delta, finish

if TYPE_CHECKING:
    from collections.abc import Sequence

STOP = chat_pb2.FINISH_REASON_STOP
LENGTH = chat_pb2.FINISH_REASON_LENGTH


def _text_of(events: Sequence[stream_pb2.StreamEvent], index: int) -> str:
    return "".join(event.delta.content for event in events if event.HasField("delta") and event.delta.index == index)


async def _everything_else_has_run() -> None:
    """Let whatever is ready in the loop run; a woken task needs two turns."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_text_that_gathers_between_two_takes_is_one_event() -> None:
    outbox = AwaitedOutbox(streamed=True)
    outbox.add_text(0, "a")
    outbox.add_text(0, "b")
    assert await outbox.take() == [delta("ab")]
    outbox.add_text(0, "c")
    assert await outbox.take() == [delta("c")]


async def test_choices_merge_apart_from_each_other() -> None:
    outbox = AwaitedOutbox(streamed=True)
    for choice, text in [(1, "x"), (0, "a"), (1, "y"), (0, "b")]:
        outbox.add_text(choice, text)
    assert sorted(await outbox.take(), key=lambda event: event.delta.index) == [delta("ab"), delta("xy", 1)]


async def test_every_event_carries_the_usage_so_far_if_it_is_counted() -> None:
    outbox = AwaitedOutbox(streamed=True)
    outbox.count_usage(9)
    outbox.start(stream_pb2.Started(id="a"))
    outbox.add_echo("The prompt.", 2)
    seen = [event for _ in range(2) for event in await outbox.take()]
    for tokens, text in ((1, "a"), (3, "bc")):
        outbox.tokens = tokens
        outbox.add_text(0, text)
        assert not outbox.only_text
        seen += await outbox.take()
    outbox.add_finish(0, STOP, None)
    seen += await outbox.take()
    counts = [(event.usage_so_far.prompt_tokens, event.usage_so_far.completion_tokens) for event in seen]
    assert counts == [(9, 0), (9, 0), (9, 0), (9, 1), (9, 3), (9, 3)]
    assert [event.usage_so_far.total_tokens for event in seen] == [sum(pair) for pair in counts]


async def test_an_echo_with_log_probabilities_comes_in_parts_each_of_them_in_every_choice() -> None:
    outbox = AwaitedOutbox(streamed=True)
    outbox.start(stream_pb2.Started(id="a"))
    first, second = ([chat_pb2.TokenLogprob(token=token, bytes=token.encode())] for token in ("a", "b"))
    outbox.add_echo("ab", 2, first)
    outbox.add_echo("", 2, second)
    seen = [event for _ in range(3) for event in await outbox.take()]
    assert seen[0].HasField("started")
    echoes = [(event.delta.index, event.delta.content, list(event.delta.logprobs.content)) for event in seen[1:]]
    assert echoes == [(0, "ab", first), (1, "ab", first), (0, "", second), (1, "", second)]
    assert all(event.delta.echo for event in seen[1:])
    assert outbox.unread == 0


async def test_a_waiting_writer_is_woken_by_the_first_text() -> None:
    outbox = AwaitedOutbox(streamed=True)
    writer = asyncio.create_task(outbox.take())
    await _everything_else_has_run()
    assert not writer.done()
    outbox.add_text(0, "a")
    assert await writer == [delta("a")]


async def test_a_writer_that_has_taken_everything_waits_for_more() -> None:
    outbox = AwaitedOutbox(streamed=True)
    outbox.add_text(0, "a")
    await outbox.take()
    writer = asyncio.create_task(outbox.take())
    await _everything_else_has_run()
    assert not writer.done()
    outbox.complete(completed().completed)
    assert await writer == [completed()]


async def test_a_finish_follows_the_text_of_its_choice() -> None:
    outbox = AwaitedOutbox(streamed=True)
    outbox.add_text(0, "a")
    outbox.add_finish(0, STOP, "\n")
    outbox.add_text(1, "b")
    events = await outbox.take()
    assert events.index(delta("a")) < events.index(finish(0, STOP, "\n"))
    assert delta("b", 1) in events


async def test_a_finish_without_a_matched_stop_sequence_leaves_it_unset() -> None:
    outbox = AwaitedOutbox(streamed=True)
    outbox.add_finish(0, LENGTH, None)
    [event] = await outbox.take()
    assert event == finish(0, LENGTH)
    assert not event.finish.HasField("stop_reason")


async def test_the_last_batch_ends_with_the_completion() -> None:
    outbox = AwaitedOutbox(streamed=True)
    outbox.add_text(0, "a")
    outbox.add_finish(0, STOP, None)
    outbox.complete(completed().completed)
    assert await outbox.take() == [delta("a"), finish(0), completed()]


async def test_an_error_comes_after_the_text_that_was_pending_in_a_stream() -> None:
    outbox = AwaitedOutbox(streamed=True)
    error = EngineFailed("It broke.")
    outbox.add_text(0, "a")
    outbox.fail(error)
    assert await outbox.take() == [delta("a")]
    with pytest.raises(EngineFailed) as caught:
        await outbox.take()
    assert caught.value is error


async def test_an_error_with_nothing_pending_wakes_the_writer() -> None:
    outbox = AwaitedOutbox(streamed=True)
    writer = asyncio.create_task(outbox.take())
    await _everything_else_has_run()
    outbox.fail(EngineFailed("It broke."))
    with pytest.raises(EngineFailed):
        await writer


async def test_an_unstreamed_call_wakes_its_writer_once_with_the_whole_answer() -> None:
    outbox = AwaitedOutbox(streamed=False)
    writer = asyncio.create_task(outbox.take())
    for text in ("a", "b", "c"):
        outbox.add_text(0, text)
        await _everything_else_has_run()
    outbox.add_finish(0, STOP, None)
    await _everything_else_has_run()
    assert not writer.done()
    outbox.complete(completed().completed)
    assert await writer == [delta("abc"), finish(0), completed()]


async def test_an_unstreamed_call_that_fails_shows_its_error_and_no_part_of_an_answer() -> None:
    outbox = AwaitedOutbox(streamed=False)
    outbox.add_text(0, "a")
    outbox.add_finish(0, STOP, None)
    outbox.fail(EngineFailed("It broke."))
    with pytest.raises(EngineFailed):
        await outbox.take()


@given(
    st.lists(st.tuples(st.integers(0, 2), st.text("ab🦙", min_size=1, max_size=3)) | st.none(), max_size=20),
    st.booleans(),
)
def test_every_choice_reads_its_own_text_in_order_however_often_the_writer_comes(
    steps: list[tuple[int, str] | None], streamed: bool
) -> None:
    async def run() -> list[stream_pb2.StreamEvent]:
        outbox = AwaitedOutbox(streamed=streamed)
        taken: list[stream_pb2.StreamEvent] = []
        pending = False
        for step in steps:
            if step is not None:
                outbox.add_text(*step)
                pending = True
            elif pending and streamed:
                taken += await outbox.take()
                pending = False
        for choice in range(3):
            outbox.add_finish(choice, STOP, None)
        outbox.complete(completed().completed)
        return taken + await outbox.take()

    events = asyncio.run(run())
    for choice in range(3):
        assert _text_of(events, choice) == "".join(step[1] for step in steps if step and step[0] == choice)
        assert [event for event in events if event.HasField("finish") and event.finish.index == choice] == [
            finish(choice)
        ]
    assert events[-1] == completed()
    assert events.count(completed()) == 1


async def test_pieces_of_a_call_merge_until_the_writer_comes_and_id_and_name_come_once() -> None:
    outbox = AwaitedOutbox(streamed=True)
    outbox.add_text(0, "Well. ")
    outbox.start_call(0, 0, "call_a", "f")
    outbox.add_arguments(0, 0, '{"a"')
    outbox.add_arguments(0, 0, ": 1")
    (first,) = await outbox.take()
    outbox.add_arguments(0, 0, "}")
    outbox.start_call(0, 1, "call_b", "g")
    (second,) = await outbox.take()
    assert first.delta.content == "Well. "
    (call,) = first.delta.tool_calls
    assert (call.index, call.id, call.name, call.arguments) == (0, "call_a", "f", '{"a": 1')
    ended, begun = second.delta.tool_calls
    assert (ended.HasField("id"), ended.HasField("name"), ended.arguments) == (False, False, "}")
    assert (begun.index, begun.id, begun.name, begun.arguments) == (1, "call_b", "g", "")


async def test_log_probabilities_that_wait_count_about_as_much_as_they_take() -> None:
    outbox = AwaitedOutbox(streamed=True)
    top = [chat_pb2.TopLogprob(token="word", logprob=-1.5, bytes=b"word")] * 20
    outbox.add_logprobs(0, [chat_pb2.TokenLogprob(token="word", logprob=-0.5, bytes=b"word", top_logprobs=top)] * 100)
    counted = outbox.unread
    size = sum(event.ByteSize() for event in await outbox.take())
    assert size / 2 < counted < size * 2


async def test_an_unstreamed_answer_is_collected_in_batches_and_not_as_one_message_of_any_size() -> None:
    outbox = AwaitedOutbox(streamed=False)
    batches = []
    for _ in range(1000):
        outbox.add_text(0, "a" * 1000)
        if outbox.unread >= BATCH:
            batches.append(await outbox.take())
    outbox.add_finish(0, STOP, None)
    outbox.complete(completed().completed)
    batches.append(await outbox.take())
    texts = [_text_of(batch, 0) for batch in batches]
    assert sum(map(len, texts)) == 1_000_000
    assert max(map(len, texts)) < BATCH + 1000
    assert batches[-1][-2:] == [finish(0), completed()]


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_echo_leaves_before_the_answer_in_batches_of_a_bounded_size(streamed: bool) -> None:
    outbox = AwaitedOutbox(streamed=streamed)
    outbox.start(stream_pb2.Started(id="a"))
    outbox.add_echo("e" * (3 * BATCH + 1), n=2)
    outbox.add_text(1, "answer")
    assert outbox.unread == len("answer")
    outbox.complete(completed().completed)
    batches = await all_taken(outbox)
    events = [event for batch in batches for event in batch]
    assert events[0].started.id == "a"
    assert _text_of(events, 0) == "e" * (3 * BATCH + 1)
    assert _text_of(events, 1) == "e" * (3 * BATCH + 1) + "answer"
    assert {event.delta.content[0]: event.delta.echo for event in events if event.HasField("delta")} == {"e": 1, "a": 0}
    assert max(sum(event.ByteSize() for event in batch) for batch in batches) < BATCH + 100


async def test_log_probabilities_that_gather_leave_in_batches_of_a_bounded_size_with_their_text_in_order() -> None:
    outbox = AwaitedOutbox(streamed=True)
    top = [chat_pb2.TopLogprob(token="word", logprob=-1.5, bytes=b"word")] * 20
    for number in range(1000):
        outbox.add_text(0, f"{number} ")
        entry = chat_pb2.TokenLogprob(token=f"{number} ", logprob=-0.5, top_logprobs=top)
        outbox.add_logprobs(0, [entry])
    outbox.add_finish(0, STOP, None)
    outbox.complete(completed().completed)
    batches = await all_taken(outbox)
    assert outbox.unread == 0
    for batch in batches:
        entries = [entry.token for event in batch for entry in event.delta.logprobs.content]
        assert "".join(entries) == _text_of(batch, 0)
    events = [event for batch in batches for event in batch]
    assert _text_of(events, 0) == "".join(f"{number} " for number in range(1000))
    assert events[-2:] == [finish(0), completed()]
    assert max(sum(event.ByteSize() for event in batch) for batch in batches) < 2 * BATCH


async def test_a_failure_comes_after_all_batches_that_have_gathered() -> None:
    outbox = AwaitedOutbox(streamed=True)
    outbox.start(stream_pb2.Started(id="a"))
    outbox.add_echo("e" * (3 * BATCH), n=1)
    outbox.fail(EngineFailed("broken"))
    taken = ""
    with pytest.raises(EngineFailed):
        while True:
            taken += _text_of(await outbox.take(), 0)
    assert taken == "e" * (3 * BATCH)


async def test_an_unstreamed_answer_that_fails_drops_the_batches_that_have_gathered() -> None:
    outbox = AwaitedOutbox(streamed=False)
    outbox.start(stream_pb2.Started(id="a"))
    outbox.add_echo("e" * (3 * BATCH), n=1)
    outbox.fail(EngineFailed("broken"))
    with pytest.raises(EngineFailed):
        await outbox.take()


# Texts and calls of an answer in their order, or a moment at which the writer takes what there is.
parts = st.lists(st.sampled_from(["text", "call", "arguments", "take"]), max_size=20)


@given(parts)
async def test_texts_and_calls_are_read_in_the_order_in_which_they_were_added(steps: list[str]) -> None:
    outbox, seen, begun = AwaitedOutbox(streamed=True), OrderedAnswer(_order_of), 0
    expected: list[Any] = []
    for step in steps:
        if step == "text":
            outbox.add_text(0, "a")
            if expected and not isinstance(expected[-1], int):
                expected[-1] += "a"
            else:
                expected.append("a")
        elif step == "call":
            outbox.start_call(0, begun, f"c{begun}", "f")
            expected.append(begun)
            begun += 1
        elif step == "arguments" and expected and isinstance(expected[-1], int):
            outbox.add_arguments(0, begun - 1, "x")
        elif step == "take" and outbox.is_ready:
            seen.add_all(outbox.collect())
    outbox.add_finish(0, STOP, None)
    outbox.complete(completed().completed)
    seen.add_all(outbox.collect())
    assert json.loads(b"".join(seen.json())) == expected


def _order_of(_: object, order: Sequence[Any], __: object) -> bytes:
    return json.dumps([part if isinstance(part, str) else int(part.id[1:]) for part in order]).encode()
