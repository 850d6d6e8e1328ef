"""A call that gives up its slots: it goes on behind its tokens or begins again, and its caller sees nothing of that."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from services.chat.answer.kept_tokens import KeptTokens
from services.chat.answer.outbox import BATCH
from services.engine.api import ChoiceEnd, End, EndReason, EngineTimings, Generation, Sampling, TokenDelta
from services.errors import FlexUnavailable
from tests.support.engines import FakeHandle, an_end
from tests.support.events import all_taken
from tests.support.garbage import nothing_collected
from tests.support.gguf_files import demo_tokenizer
from tests.unit.chat.test_call import Played, start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1 import stream_pb2

PROMPT = (1, 2, 3)
SEEDED = Sampling(seed=1)  # which is not resumed


@dataclass
class Flex:
    """A call with its kept tokens; `again` are the times that it was queued again."""

    played: Played
    kept: KeptTokens
    again: int = 0

    def push(self, text: str, *, known: bool = True) -> None:
        """Text of one token each for its words, with their ids if they are `known`."""
        for token in demo_tokenizer().encode(text):
            piece = demo_tokenizer().decode([token])
            self.kept.token_delta(TokenDelta(0, 1, text=piece, ids=[token] if known else ()))

    def preempt(self) -> bool:
        """Ask it for its slots."""
        return self.played.call.preempt(self.kept, self._queue_again)

    def give_up(self, end: End | None = None) -> None:
        """Preempt it, and have the engine end it."""
        assert self.preempt()
        self.kept.choice_end(ChoiceEnd(0, EndReason.CANCELLED))
        self.kept.end(an_end() if end is None else end)

    def go_on(self) -> Generation:
        """The engine gets it again; what it has to do."""
        self.played.handle = FakeHandle()
        self.played.call.submit(lambda: self.played.handle)
        return self.kept.generation

    async def finish(
        self, reason: EndReason = EndReason.STOP, end: End | None = None
    ) -> Sequence[stream_pb2.StreamEvent]:
        """The engine ends it; the events of its caller."""
        self.kept.choice_end(ChoiceEnd(0, reason))
        self.kept.end(an_end() if end is None else end)
        return [event for events in await all_taken(self.played.outbox) for event in events]

    def _queue_again(self) -> None:
        self.again += 1


def flex(*, streamed: bool = False, n: int = 1, generation: dict[str, Any] | None = None, **fields: Any) -> Flex:
    """A submitted call."""
    played = start(streamed=streamed, n=n, **fields)
    return Flex(played, KeptTokens(Generation(PROMPT, 100, n=n, **(generation or {})), played.call))


def _text(events: Sequence[stream_pb2.StreamEvent]) -> str:
    return "".join(event.delta.content for event in events if event.HasField("delta"))


async def test_a_preempted_call_goes_on_behind_its_tokens_and_its_caller_gets_and_pays_for_one_answer() -> None:
    call = flex()
    call.push("Hello there")
    call.give_up(an_end(prompt=3, cached=2))
    assert (call.again, call.played.records) == (1, [])
    left = call.go_on()
    assert demo_tokenizer().decode(left.generated) == "Hello there"
    assert (left.prompt, left.tokens_left) == (PROMPT, 100 - len(left.generated))
    call.push(", and once more")
    call.give_up(an_end(prompt=3, cached=3))
    assert demo_tokenizer().decode(call.go_on().generated) == "Hello there, and once more"
    call.push(".")
    events = await call.finish(end=an_end(prompt=3, cached=3))
    assert _text(events) == "Hello there, and once more."
    [record] = call.played.records
    tokens = len(call.kept.generation.generated)
    usage = (record.usage.prompt_tokens, record.usage.cached_tokens, record.usage.completion_tokens)
    assert (record.outcome, usage) == ("completed", (3, 2, tokens))


async def test_the_wait_of_a_resumed_call_counts_as_decoding_and_its_first_token_comes_when_it_came() -> None:
    call = flex()
    call.push("A")
    call.give_up(End(3, 0, 1, EngineTimings(queue=1.0, prefill=2.0, decode=3.0)))
    call.go_on()
    call.push("B")
    await call.finish(end=End(3, 0, 1, EngineTimings(queue=5000.0, prefill=6000.0, decode=7000.0)))
    timings = call.played.records[0].timings
    assert 1.0 <= timings.queue < 1000.0
    assert timings.prefill == 2.0
    assert 3.0 <= timings.decode < 1000.0


async def test_a_stop_sequence_is_found_across_an_interruption() -> None:
    call = flex(stops=("END",))
    call.push("One E")
    call.give_up()
    call.go_on()
    call.push("ND two")
    assert _text(await call.finish()) == "One "


@pytest.mark.parametrize("known", [True, False])
async def test_a_call_that_cannot_go_on_begins_again_and_pays_for_one_answer(known: bool) -> None:
    call = flex(generation={"sampling": SEEDED} if known else {})
    call.push("An answer that is lost", known=known)
    call.give_up()
    assert call.go_on().generated == ()
    call.push("Another")
    events = await call.finish()
    assert [event.WhichOneof("event") for event in events] == ["started", "delta", "finish", "completed"]
    assert _text(events) == "Another"
    [record] = call.played.records
    assert record.usage.completion_tokens == len(demo_tokenizer().encode("Another"))


async def test_a_call_that_began_again_can_go_on_the_next_time() -> None:
    call = flex()
    call.push("é", known=False)
    call.give_up()
    call.go_on()
    call.push("Hello")
    call.give_up()
    assert demo_tokenizer().decode(call.go_on().generated) == "Hello"


async def test_a_streamed_call_can_be_preempted_until_its_first_token_only() -> None:
    call = flex(streamed=True)
    await call.played.outbox.take()
    call.give_up()
    call.go_on()
    call.push("A")
    assert not call.preempt()
    assert _text(await call.finish()) == "A"


async def test_a_call_is_preempted_after_a_batch_was_sent_only_if_it_can_go_on() -> None:
    text = "x" * BATCH
    for sampling, can in ((Sampling(), True), (SEEDED, False)):
        call = flex(generation={"sampling": sampling})
        call.kept.token_delta(TokenDelta(0, 1, text=text, ids=[5]))
        assert call.preempt() == can
        call.played.call.close()


async def test_a_call_of_which_a_choice_is_complete_or_whose_prompt_is_repeated_does_not_begin_again() -> None:
    two = flex(n=2)
    two.kept.choice_end(ChoiceEnd(1, EndReason.STOP))
    assert not two.preempt()
    echoing = flex(echo="Hello", generation={"sampling": SEEDED})
    assert not echoing.preempt()


@pytest.mark.parametrize("sampling", [Sampling(), SEEDED])
async def test_a_call_that_ended_before_its_cancellation_is_complete(sampling: Sampling) -> None:
    call = flex(generation={"sampling": sampling})
    call.push("Done")
    assert call.preempt()
    assert _text(await call.finish()) == "Done"
    assert (call.again, [record.outcome for record in call.played.records]) == (0, ["completed"])


async def test_a_call_that_has_all_of_its_tokens_is_not_given_to_the_engine_again() -> None:
    call = flex()
    for token in range(100):
        call.kept.token_delta(TokenDelta(0, 1, text="x", ids=[token]))
    assert call.preempt()
    events = await call.finish(EndReason.CANCELLED)
    assert (_text(events), call.again) == ("x" * 100, 0)
    assert [record.finish_reasons for record in call.played.records] == [["length"]]


async def test_a_call_that_fails_while_it_gives_up_its_slots_has_failed() -> None:
    call = flex()
    call.push("A")
    assert call.preempt()
    call.kept.end(an_end(error="lost"))
    assert (call.again, [record.outcome for record in call.played.records]) == (0, ["failed"])


@pytest.mark.parametrize("ended", [False, True])
async def test_a_preempted_call_whose_caller_leaves_is_recorded_once_with_its_tokens_and_not_queued_again(
    ended: bool,
) -> None:
    call = flex()
    call.push("A")
    assert call.preempt()
    if ended:
        call.kept.end(an_end(prompt=3))
    call.played.call.close()
    if not ended:
        call.kept.end(an_end(prompt=3))
    assert call.again == ended
    [record] = call.played.records
    assert (record.outcome, record.usage.prompt_tokens, record.usage.completion_tokens) == ("cancelled", 3, 1)
    assert call.played.handle.cancels.count(None) <= 2


async def test_a_call_that_waits_too_long_for_its_slots_is_refused_and_pays_nothing() -> None:
    call = flex()
    call.push("A")
    call.give_up(an_end(prompt=3))
    call.played.call.start_within(0.0, lambda: FlexUnavailable(1.0))
    with pytest.raises(FlexUnavailable):
        await all_taken(call.played.outbox)
    [record] = call.played.records
    assert (record.usage.prompt_tokens, record.usage.completion_tokens, record.cost) == (0, 0, 0)


async def test_the_engine_reports_ids_of_calls_that_can_go_on_and_of_no_others() -> None:
    assert flex().kept.generation.reports_ids
    assert not flex(generation={"grammar": "start: /a*/"}).kept.generation.reports_ids


async def test_a_call_that_is_closed_while_it_gives_up_its_slots_is_freed_without_the_garbage_collector() -> None:
    call = flex()
    assert call.preempt()
    call.played.call.close()
    call.kept.end(an_end())
    freed = weakref.ref(call.played.call)
    with nothing_collected():
        del call
        assert freed() is None
