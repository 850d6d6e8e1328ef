"""A call from its acceptance to its usage record, with an engine that is played by hand."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from chasqui.v1 import chat_pb2
from services.accounts.keys.caller import Caller
from services.accounts.limiting.api import Gauge, Standing
from services.accounts.prices.price import price_of
from services.chat.accounting.call_facts import CallFacts, CallIds, CallOrigin, ServedModel
from services.chat.answer.call import ChatCall
from services.chat.answer.form import AnswerForm, ToolUse
from services.chat.answer.outbox import MOST_UNREAD, AwaitedOutbox
from services.engine.api import ChoiceEnd, EndReason, TokenDelta, deliver_end
from services.errors import ChasquiError, DeadlineExceeded, EngineFailed, FlexUnavailable
from services.service_tier import ServiceTier
from tests.support.engines import FakeHandle, an_end, text_delta
from tests.support.events import all_taken
from tests.support.garbage import nothing_collected
from tests.support.gguf_files import demo_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chasqui.v1 import stream_pb2
    from services.chat.accounting.usage_record import UsageRecord

EXPIRED = DeadlineExceeded("The call's time ran out.")


@dataclass
class Played:
    """A call, its engine's handle, its usage records, and the times until its slots were free."""

    call: ChatCall
    outbox: AwaitedOutbox
    handle: FakeHandle
    records: list[UsageRecord]
    released: list[float]


NO_STANDING = Standing()


def facts(*, n: int = 1, price: str = "2,1,3", limits: Standing = NO_STANDING) -> CallFacts:
    """What is known of a call."""
    return CallFacts(
        origin=CallOrigin(
            CallIds("request-1", "0" * 32, "chatcmpl-1"), Caller("ana"), "chat/completions", "", datetime.now(UTC)
        ),
        model=ServedModel("demo", "test-1", price_of(price), "demo"),
        operation="chat",
        tier=ServiceTier.DEFAULT,
        n=n,
        received=0.0,
        tokenize_seconds=0.5,
        limits=limits,
    )


def form(
    *, n: int = 1, stops: Sequence[str] = (), tools: Sequence[str] = (), parallel: bool = True, echo: str = ""
) -> AnswerForm:
    """What the answer may look like."""
    return AnswerForm(n, stops, echo=echo, tools=ToolUse(frozenset(tools), parallel, named=False) if tools else None)


def accept(
    *,
    streamed: bool = True,
    n: int = 1,
    price: str = "2,1,3",
    limits: Standing = NO_STANDING,
    keeps_output: bool = False,
    **fields: Any,
) -> Played:
    """A call that has been accepted and that the engine has not got yet."""
    records: list[UsageRecord] = []
    released: list[float] = []
    outbox = AwaitedOutbox(streamed=streamed)
    call = ChatCall(
        facts(n=n, price=price, limits=limits),
        form(n=n, **fields),
        demo_tokenizer(),
        outbox,
        on_end=records.append,
        on_released=released.append,
        keeps_output=keeps_output,
    )
    call.accept(prompt_tokens=7)
    return Played(call, outbox, FakeHandle(), records, released)


def start(**fields: Any) -> Played:
    """An accepted and submitted call."""
    played = accept(**fields)
    played.call.submit(lambda: played.handle)
    return played


@pytest.mark.parametrize("named", [("requests", "tokens"), ("requests",), ("tokens",), ()])
async def test_the_first_event_shows_the_limits_that_there_are(named: Sequence[str]) -> None:
    gauges = {"requests": Gauge(60, 59, 60.0), "tokens": Gauge(1000, 0, 12.25)}
    limits = Standing(*(gauges[name] if name in named else None for name in gauges))
    (started,) = [event.started for event in await accept(limits=limits).outbox.take()]
    assert {field.name for field, _ in started.rate_limits.ListFields()} == set(named)
    assert started.HasField("rate_limits") is bool(named)
    for name in named:
        limit = getattr(started.rate_limits, name)
        assert Gauge(limit.limit, limit.remaining, limit.reset_seconds) == gauges[name]


def _stop(choice: int = 0) -> ChoiceEnd:
    return ChoiceEnd(choice, EndReason.STOP)


def _texts(events: Sequence[stream_pb2.StreamEvent]) -> dict[int, str]:
    texts: defaultdict[int, str] = defaultdict(str)
    for event in events:
        if event.HasField("delta"):
            texts[event.delta.index] += event.delta.content
    return texts


def _finishes(events: Sequence[stream_pb2.StreamEvent]) -> list[tuple[int, str, str | None]]:
    finishes = [event.finish for event in events if event.HasField("finish")]
    return [
        (
            finish.index,
            chat_pb2.FinishReason.Name(finish.finish_reason).removeprefix("FINISH_REASON_"),
            finish.stop_reason if finish.HasField("stop_reason") else None,
        )
        for finish in finishes
    ]


async def test_a_call_that_has_ended_is_freed_without_the_garbage_collector() -> None:
    played = start()
    played.handle.sink = played.call  # as every engine has it
    played.call.end(an_end())
    call = weakref.ref(played.call)
    with nothing_collected():
        del played
        assert call() is None


async def test_an_answer_is_its_text_its_finish_and_its_usage() -> None:
    played = start()
    played.call.token_delta(text_delta("Hello"))
    played.call.token_delta(text_delta(" you", tokens=2))
    played.call.choice_end(_stop())
    played.call.end(an_end(prompt=10, cached=4))
    events = await played.outbox.take()
    assert events[0].started.prompt_tokens == 7
    assert _texts(events) == {0: "Hello you"}
    assert _finishes(events) == [(0, "STOP", None)]
    usage = events[-1].completed.usage
    assert usage == chat_pb2.Usage(
        prompt_tokens=10,
        completion_tokens=3,
        total_tokens=13,
        cached_tokens=4,
        estimated_cost=(6 * 2 + 4 * 1 + 3 * 3) / 1e6,
    )
    assert (played.call.outcome, played.call.usage, len(played.records)) == ("completed", usage, 1)


async def test_the_timings_are_the_engines_and_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 10.0)
    played = start()
    played.call.choice_end(_stop())
    played.call.end(an_end())
    timings = (await played.outbox.take())[-1].completed.timings
    assert [timings.queue.seconds, timings.prefill.seconds, timings.decode.seconds] == [1, 2, 3]
    assert timings.tokenize.ToMilliseconds() == 500
    assert timings.total.seconds == 10


async def test_ids_of_tokens_become_text_as_characters_become_whole() -> None:
    played = start()
    ids = demo_tokenizer().encode("🦙 ok")
    for token in ids:
        played.call.token_delta(TokenDelta(0, 1, ids=(token,)))
    assert _texts(await played.outbox.take()) == {0: "🦙 ok"}


async def test_an_answer_cut_inside_a_character_ends_with_a_replacement_character() -> None:
    played = start()
    first, *_ = demo_tokenizer().encode("🦙")[-2:]
    played.call.token_delta(TokenDelta(0, 1, ids=(first,)))
    played.call.choice_end(ChoiceEnd(0, EndReason.LENGTH))
    played.call.end(an_end())
    events = await played.outbox.take()
    assert _texts(events) == {0: "\ufffd"}
    assert _finishes(events) == [(0, "LENGTH", None)]


async def test_a_stop_sequence_ends_the_choice_and_cancels_its_generation() -> None:
    played = start(stops=["END"])
    for text in ("one E", "N", "D two"):
        played.call.token_delta(text_delta(text))
    assert played.handle.cancels == [0]
    played.call.token_delta(text_delta(" three", tokens=100))  # already on its way
    played.call.choice_end(ChoiceEnd(0, EndReason.CANCELLED))
    played.call.end(an_end())
    events = await played.outbox.take()
    assert _texts(events) == {0: "one "}
    assert _finishes(events) == [(0, "STOP", "END")]
    assert played.call.usage.completion_tokens == 3
    assert played.call.outcome == "completed"


@pytest.mark.parametrize("reason", EndReason)
async def test_a_choice_that_met_a_stop_sequence_finishes_once_whatever_the_engine_says_later(
    reason: EndReason,
) -> None:
    played = start(stops=["END"])
    played.call.token_delta(text_delta("one END"))
    played.call.choice_end(ChoiceEnd(0, reason))
    played.call.end(an_end())
    events = await played.outbox.take()
    assert _texts(events) == {0: "one "}
    assert _finishes(events) == [(0, "STOP", "END")]


async def test_a_stop_sequence_in_one_choice_leaves_the_others_alone() -> None:
    played = start(stops=["END"], n=2)
    played.call.token_delta(text_delta("a END", choice=1))
    played.call.token_delta(text_delta("b", choice=0))
    assert played.handle.cancels == [1]
    played.call.choice_end(ChoiceEnd(1, EndReason.CANCELLED))
    played.call.token_delta(text_delta("c", choice=0))
    played.call.choice_end(ChoiceEnd(0, EndReason.LENGTH))
    played.call.end(an_end())
    events = await played.outbox.take()
    assert _texts(events) == {0: "bc", 1: "a "}
    assert sorted(_finishes(events)) == [(0, "LENGTH", None), (1, "STOP", "END")]
    assert played.call.usage.completion_tokens == 3


async def test_text_held_back_for_a_stop_sequence_is_shown_when_the_choice_ends_without_it() -> None:
    played = start(stops=["END"])
    played.call.token_delta(text_delta("the EN"))
    played.call.choice_end(_stop())
    played.call.end(an_end())
    events = await played.outbox.take()
    assert _texts(events) == {0: "the EN"}
    assert _finishes(events) == [(0, "STOP", None)]


async def test_a_call_for_no_tokens_completes_without_an_engine() -> None:
    played = start(n=2)
    played.call.end_empty(7)
    events = await played.outbox.take()
    assert _finishes(events) == [(0, "LENGTH", None), (1, "LENGTH", None)]
    assert events[-1].completed.usage.total_tokens == 7
    assert (played.call.outcome, len(played.records)) == ("completed", 1)


async def test_a_caller_who_goes_cancels_everything_and_its_usage_is_recorded() -> None:
    played = start(n=2)
    played.call.token_delta(text_delta("a", tokens=5))
    played.call.close()
    assert played.handle.cancels == [None]
    assert played.records == []  # the engine has not ended it yet
    for choice in (0, 1):
        played.call.choice_end(ChoiceEnd(choice, EndReason.CANCELLED))
    played.call.end(an_end(prompt=10))
    assert (played.call.outcome, len(played.records)) == ("cancelled", 1)
    assert played.call.usage.total_tokens == 15
    [record] = played.records
    assert (record.usage.completion_tokens, record.finish_reasons) == (5, [])


async def test_a_deadline_ends_a_stream_with_its_error_after_the_text_so_far() -> None:
    played = start()
    played.call.token_delta(text_delta("a", tokens=2))
    played.call.expire_after(0, EXPIRED)
    assert _texts(await played.outbox.take()) == {0: "a"}
    with pytest.raises(DeadlineExceeded):
        await played.outbox.take()
    assert played.handle.cancels == [None]
    played.call.choice_end(ChoiceEnd(0, EndReason.CANCELLED))
    played.call.end(an_end(prompt=10))
    assert (played.call.outcome, len(played.records)) == ("deadline", 1)
    assert played.call.usage.total_tokens == 12


async def test_a_deadline_ends_an_unstreamed_call_with_its_error_alone() -> None:
    played = start(streamed=False)
    played.call.token_delta(text_delta("a"))
    played.call.expire_after(0, EXPIRED)
    with pytest.raises(DeadlineExceeded):
        await played.outbox.take()


async def test_a_deadline_that_has_passed_already_still_cancels_the_engine() -> None:
    played = start()
    played.call.expire_after(-5.0, EXPIRED)
    await played.outbox.take()  # Started
    with pytest.raises(DeadlineExceeded):
        await played.outbox.take()
    assert played.handle.cancels == [None]


async def test_a_deadline_after_the_end_has_no_effect() -> None:
    played = start()
    played.call.expire_after(0, EXPIRED)
    played.call.choice_end(_stop())
    played.call.end(an_end())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert played.handle.cancels == []
    assert played.call.outcome == "completed"


async def test_a_failing_engine_ends_the_call_with_its_sentence() -> None:
    played = start()
    played.call.token_delta(text_delta("a"))
    played.call.choice_end(ChoiceEnd(0, EndReason.CANCELLED))
    played.call.end(an_end(prompt=10, error="Out of memory."))
    assert _texts(await played.outbox.take()) == {0: "a"}
    with pytest.raises(EngineFailed, match="Out of memory"):
        await played.outbox.take()
    assert (played.call.outcome, len(played.records)) == ("failed", 1)
    [record] = played.records
    assert (record.error, record.usage.completion_tokens) == ("Out of memory.", 1)


@pytest.mark.parametrize("first", ["close", "deadline", "failure"])
@pytest.mark.parametrize("second", ["close", "deadline", "failure"])
async def test_the_first_end_decides_the_outcome_and_the_call_is_recorded_once(first: str, second: str) -> None:
    played = start()
    ends: dict[str, Callable[[], None]] = {
        "close": played.call.close,
        "deadline": lambda: played.call.fail(EXPIRED),
        "failure": lambda: played.call.fail(EngineFailed("It broke.")),
    }
    ends[first]()
    ends[second]()
    played.call.choice_end(ChoiceEnd(0, EndReason.CANCELLED))
    played.call.end(an_end())
    ends[second]()
    assert played.call.outcome == {"close": "cancelled", "deadline": "deadline", "failure": "failed"}[first]
    assert len(played.records) == 1


async def test_closing_an_answered_call_changes_nothing() -> None:
    played = start()
    played.call.choice_end(_stop())
    played.call.end(an_end())
    await played.outbox.take()
    played.call.close()
    assert (played.call.outcome, len(played.records)) == ("completed", 1)


async def test_the_usage_record_has_every_number() -> None:
    played = start(n=2, price="1")
    played.call.token_delta(text_delta("a", choice=1, tokens=3))
    played.call.choice_end(ChoiceEnd(1, EndReason.LENGTH))
    played.call.choice_end(_stop(0))
    end = an_end(prompt=10, cached=8)
    played.call.end(end)
    [record] = played.records
    assert record.facts.origin.ids.chat_id == "chatcmpl-1"
    assert (record.outcome, record.error, record.output) == ("completed", None, [])
    assert record.finish_reasons == ["stop", "length"]
    assert record.usage == chat_pb2.Usage(
        prompt_tokens=10, completion_tokens=3, total_tokens=13, cached_tokens=8, estimated_cost=13 / 1e6
    )
    assert (record.timings.prefill, record.timings.decode) == (end.timings.prefill, end.timings.decode)
    assert record.timings.queue >= end.timings.queue
    assert record.seconds > 0


@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_cancelled_call_reports_when_its_slots_in_the_engine_are_free(cancelled: bool) -> None:
    played = start()
    if cancelled:
        played.call.close()
    played.call.choice_end(ChoiceEnd(0, EndReason.CANCELLED if cancelled else EndReason.STOP))
    played.call.end(an_end())
    assert played.released == []  # the engine may use the slots beyond the call's end
    played.handle.released.set_result(None)
    await asyncio.sleep(0)
    assert len(played.released) == cancelled


@pytest.mark.parametrize("traced", [True, False])
async def test_what_the_model_wrote_is_kept_only_to_be_traced(traced: bool) -> None:
    played = start(n=2, tools=["f"], keeps_output=traced)
    for text in ('{"name": "f", ', '"parameters": {}}'):
        played.call.token_delta(text_delta(text, choice=0))
    played.call.token_delta(text_delta("No.", choice=1))
    for index in (0, 1):
        played.call.choice_end(_stop(index))
    played.call.end(an_end())
    [record] = played.records
    assert record.output == (['{"name": "f", "parameters": {}}', "No."] if traced else [])


async def test_a_call_that_is_given_up_while_it_waits_is_recorded_once_and_costs_nothing() -> None:
    played = accept()
    played.call.close()
    played.call.close()
    [record] = played.records
    assert record.outcome == "cancelled"
    assert (record.usage.prompt_tokens, record.usage.estimated_cost) == (0, 0)


async def test_a_call_that_expires_while_it_waits_fails_and_costs_nothing() -> None:
    played = accept()
    played.call.expire_after(0, EXPIRED)
    await played.outbox.take()
    with pytest.raises(DeadlineExceeded):
        await played.outbox.take()
    played.call.close()
    [record] = played.records
    assert (record.outcome, record.usage.prompt_tokens) == ("deadline", 0)


async def test_a_call_that_the_engine_has_not_got_in_time_fails_and_costs_nothing() -> None:
    played = accept()
    played.call.start_within(0.01, lambda: FlexUnavailable(1.0))
    await played.outbox.take()
    with pytest.raises(FlexUnavailable):
        await played.outbox.take()
    assert [(record.outcome, record.usage.total_tokens) for record in played.records] == [("refused", 0)]


async def test_a_call_that_the_engine_has_got_is_not_refused_any_more() -> None:
    played = accept()
    played.call.start_within(0.01, lambda: FlexUnavailable(1.0))
    played.call.submit(lambda: played.handle)
    played.call.start_within(0.0, lambda: FlexUnavailable(1.0))
    await asyncio.sleep(0.05)
    assert played.handle.cancels == []


@pytest.mark.parametrize(("seconds", "outcome"), [(0.02, "deadline"), (60.0, "cancelled")])
async def test_a_caller_who_leaves_at_its_own_deadline_was_late_and_is_not_counted_as_gone(
    seconds: float, outcome: str
) -> None:
    played = start()
    played.call.expire_after(seconds, EXPIRED)
    played.call.close()
    played.call.end(an_end())
    assert [record.outcome for record in played.records] == [outcome]


async def test_the_time_in_our_queue_is_added_to_the_engine_s() -> None:
    played = accept()
    await asyncio.sleep(0.02)
    played.call.submit(lambda: played.handle)
    played.call.choice_end(_stop())
    played.call.end(an_end())
    timings = (await played.outbox.take())[-1].completed.timings
    assert timings.queue.ToTimedelta().total_seconds() >= 1.02


async def test_a_caller_is_not_slow_for_not_having_read_the_echo_of_its_prompt() -> None:
    echo = "a" * MOST_UNREAD
    played = start(n=4, echo=echo)
    for choice in range(4):
        played.call.token_delta(TokenDelta(choice, 1, text="b"))
    assert played.handle.cancels == []
    played.call.end(an_end())
    events = [event for batch in await all_taken(played.outbox) for event in batch]
    assert _texts(events) == dict.fromkeys(range(4), echo + "b")


@pytest.mark.parametrize("fault", ["text", "finish", "end", "record"])
async def test_a_fault_of_ours_ends_its_call_alone_and_is_recorded_once(
    fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    played = start()

    def broken(*_: object) -> None:
        raise LookupError(fault)

    parts: dict[str, Any] = {"text": "add_text", "finish": "add_finish", "end": "complete"}
    with pytest.MonkeyPatch.context() as patch:
        if fault == "record":
            patch.setattr(played.call, "_on_end", broken)
        else:
            patch.setattr(played.outbox, parts[fault], broken)
        played.call.token_delta(TokenDelta(0, 1, text="a"))
        played.call.choice_end(_stop())
        deliver_end(played.call, an_end())
    with pytest.raises(ChasquiError) if fault != "record" else nullcontext():
        while not (await played.outbox.take())[-1].HasField("completed"):
            pass
    assert [record.outcome for record in played.records] == ([] if fault == "record" else ["failed"])
    assert fault in str([record.exc_info for record in caplog.records if record.levelname == "ERROR"])
