"""A call from its acceptance to its bill, with an engine that is played by hand."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chasqui.v1 import chat_pb2
from services.chat.call import CallFacts, ChatCall
from services.chat.outbox import AwaitedOutbox
from services.engine.api import ChoiceEnd, EndReason, Piece
from services.errors import DeadlineExceeded, EngineFailed
from tests.support.engines import FakeHandle, an_end, text_piece
from tests.support.gguf_files import demo_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chasqui.v1 import stream_pb2

EXPIRED = DeadlineExceeded("The call's time ran out.")


@dataclass
class Played:
    """A call, its engine's handle, and how often it was settled."""

    call: ChatCall
    handle: FakeHandle
    settled: list[str] = field(default_factory=list)


def start(
    *,
    stops: Sequence[str] = (),
    tools: Sequence[str] = (),
    parallel: bool = True,
    n: int = 1,
    streamed: bool = True,
    price: float = 2.0,
) -> Played:
    """An accepted and submitted call."""
    facts = CallFacts(
        request_id="request-1",
        trace_id="0" * 32,
        model="demo",
        system_fingerprint="test-1",
        stops=stops,
        tool_names=frozenset(tools),
        parallel_tool_calls=parallel,
        call_is_named=False,
        n=n,
        logprobs=False,
        id_prefix="chatcmpl-",
        echo="",
        price=price,
        received=0.0,
        grammar_param=None,
        tokenize_seconds=0.5,
    )
    settled: list[str] = []
    call = ChatCall(
        facts, demo_tokenizer(), AwaitedOutbox(streamed=streamed), on_settled=lambda: settled.append("settled")
    )
    played = Played(call, FakeHandle(), settled)
    call.attach(played.handle)
    return played


def _stop(choice: int = 0) -> ChoiceEnd:
    return ChoiceEnd(choice, EndReason.STOP)


def _texts(events: Sequence[stream_pb2.StreamEvent]) -> dict[int, str]:
    return {event.delta.index: event.delta.content for event in events if event.HasField("delta")}


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


def _bills(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record)["fields"] for record in caplog.records if record.name == "services.chat.call"]


@pytest.fixture(autouse=True)
def _bills_are_recorded(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "services.chat.call")


async def test_an_answer_is_its_text_its_finish_and_its_bill() -> None:
    played = start()
    played.call.piece(text_piece("Hello"))
    played.call.piece(text_piece(" you", tokens=2))
    played.call.choice_end(_stop())
    played.call.end(an_end(prompt=10, cached=4))
    events = await played.call.outbox.take()
    assert _texts(events) == {0: "Hello you"}
    assert _finishes(events) == [(0, "STOP", None)]
    usage = events[-1].completed.usage
    assert usage == chat_pb2.Usage(
        prompt_tokens=10, completion_tokens=3, total_tokens=13, cached_tokens=4, estimated_cost=13 * 2.0 / 1e6
    )
    assert (played.call.outcome, played.call.usage, played.settled) == ("completed", usage, ["settled"])


async def test_the_timings_are_the_engines_and_the_servers() -> None:
    played = start()
    played.call.choice_end(_stop())
    played.call.end(an_end())
    timings = (await played.call.outbox.take())[-1].completed.timings
    assert [timings.queue.seconds, timings.prefill.seconds, timings.decode.seconds] == [1, 2, 3]
    assert timings.tokenize.ToMilliseconds() == 500
    assert timings.total.ToNanoseconds() > 0


async def test_two_calls_have_different_ids_of_openais_form() -> None:
    ids = {start().call.started.id, start().call.started.id}
    assert len(ids) == 2
    assert all(re.fullmatch(r"chatcmpl-[0-9a-f]{32}", one) for one in ids)


async def test_ids_of_tokens_become_text_as_characters_become_whole() -> None:
    played = start()
    ids = demo_tokenizer().encode("🦙 ok")
    for token in ids:
        played.call.piece(Piece(0, 1, ids=(token,)))
    assert _texts(await played.call.outbox.take()) == {0: "🦙 ok"}


async def test_an_answer_cut_inside_a_character_ends_with_a_replacement_character() -> None:
    played = start()
    first, *_ = demo_tokenizer().encode("🦙")[-2:]
    played.call.piece(Piece(0, 1, ids=(first,)))
    played.call.choice_end(ChoiceEnd(0, EndReason.LENGTH))
    played.call.end(an_end())
    events = await played.call.outbox.take()
    assert _texts(events) == {0: "\ufffd"}
    assert _finishes(events) == [(0, "LENGTH", None)]


async def test_a_stop_sequence_ends_the_choice_and_cancels_its_generation() -> None:
    played = start(stops=["END"])
    for text in ("one E", "N", "D two"):
        played.call.piece(text_piece(text))
    assert played.handle.cancels == [0]
    played.call.piece(text_piece(" three", tokens=100))  # already on its way
    played.call.choice_end(ChoiceEnd(0, EndReason.CANCELLED))
    played.call.end(an_end())
    events = await played.call.outbox.take()
    assert _texts(events) == {0: "one "}
    assert _finishes(events) == [(0, "STOP", "END")]
    assert played.call.usage.completion_tokens == 3
    assert played.call.outcome == "completed"


@pytest.mark.parametrize("reason", EndReason)
async def test_a_choice_that_met_a_stop_sequence_finishes_once_whatever_the_engine_says_later(
    reason: EndReason,
) -> None:
    played = start(stops=["END"])
    played.call.piece(text_piece("one END"))
    played.call.choice_end(ChoiceEnd(0, reason))
    played.call.end(an_end())
    events = await played.call.outbox.take()
    assert _texts(events) == {0: "one "}
    assert _finishes(events) == [(0, "STOP", "END")]


async def test_a_stop_sequence_in_one_choice_leaves_the_others_alone() -> None:
    played = start(stops=["END"], n=2)
    played.call.piece(text_piece("a END", choice=1))
    played.call.piece(text_piece("b", choice=0))
    assert played.handle.cancels == [1]
    played.call.choice_end(ChoiceEnd(1, EndReason.CANCELLED))
    played.call.piece(text_piece("c", choice=0))
    played.call.choice_end(ChoiceEnd(0, EndReason.LENGTH))
    played.call.end(an_end())
    events = await played.call.outbox.take()
    assert _texts(events) == {0: "bc", 1: "a "}
    assert sorted(_finishes(events)) == [(0, "LENGTH", None), (1, "STOP", "END")]
    assert played.call.usage.completion_tokens == 3


async def test_text_held_back_for_a_stop_sequence_is_shown_when_the_choice_ends_without_it() -> None:
    played = start(stops=["END"])
    played.call.piece(text_piece("the EN"))
    played.call.choice_end(_stop())
    played.call.end(an_end())
    events = await played.call.outbox.take()
    assert _texts(events) == {0: "the EN"}
    assert _finishes(events) == [(0, "STOP", None)]


async def test_a_call_for_no_tokens_completes_without_an_engine() -> None:
    played = start(n=2)
    played.call.end_empty(an_end(prompt=7))
    events = await played.call.outbox.take()
    assert _finishes(events) == [(0, "LENGTH", None), (1, "LENGTH", None)]
    assert events[-1].completed.usage.total_tokens == 7
    assert (played.call.outcome, played.settled) == ("completed", ["settled"])


async def test_a_caller_who_goes_cancels_everything_and_is_still_billed(caplog: pytest.LogCaptureFixture) -> None:
    played = start(n=2)
    played.call.piece(text_piece("a", tokens=5))
    played.call.close()
    assert played.handle.cancels == [None]
    assert played.settled == []  # the engine has not let go yet
    for choice in (0, 1):
        played.call.choice_end(ChoiceEnd(choice, EndReason.CANCELLED))
    played.call.end(an_end(prompt=10))
    assert (played.call.outcome, played.settled) == ("cancelled", ["settled"])
    assert played.call.usage.total_tokens == 15
    [bill] = _bills(caplog)
    assert (bill["outcome"], bill["completion_tokens"], bill["finish_reasons"]) == ("cancelled", 5, [])


async def test_a_deadline_ends_a_stream_with_its_error_after_the_text_so_far() -> None:
    played = start()
    played.call.piece(text_piece("a", tokens=2))
    played.call.expire_after(0, EXPIRED)
    assert _texts(await played.call.outbox.take()) == {0: "a"}
    with pytest.raises(DeadlineExceeded):
        await played.call.outbox.take()
    assert played.handle.cancels == [None]
    played.call.choice_end(ChoiceEnd(0, EndReason.CANCELLED))
    played.call.end(an_end(prompt=10))
    assert (played.call.outcome, played.settled) == ("deadline", ["settled"])
    assert played.call.usage.total_tokens == 12


async def test_a_deadline_ends_an_unstreamed_call_with_its_error_alone() -> None:
    played = start(streamed=False)
    played.call.piece(text_piece("a"))
    played.call.expire_after(0, EXPIRED)
    with pytest.raises(DeadlineExceeded):
        await played.call.outbox.take()


async def test_a_deadline_that_has_passed_already_still_cancels_the_engine() -> None:
    played = start()
    played.call.expire_after(-5.0, EXPIRED)
    await played.call.outbox.take()  # Started
    with pytest.raises(DeadlineExceeded):
        await played.call.outbox.take()
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


async def test_a_failing_engine_ends_the_call_with_its_sentence(caplog: pytest.LogCaptureFixture) -> None:
    played = start()
    played.call.piece(text_piece("a"))
    played.call.choice_end(ChoiceEnd(0, EndReason.CANCELLED))
    played.call.end(an_end(prompt=10, error="Out of memory."))
    assert _texts(await played.call.outbox.take()) == {0: "a"}
    with pytest.raises(EngineFailed, match="Out of memory"):
        await played.call.outbox.take()
    assert (played.call.outcome, played.settled) == ("failed", ["settled"])
    [bill] = _bills(caplog)
    assert (bill["error"], bill["completion_tokens"]) == ("Out of memory.", 1)


@pytest.mark.parametrize("first", ["close", "deadline", "failure"])
@pytest.mark.parametrize("second", ["close", "deadline", "failure"])
async def test_the_first_end_decides_the_outcome_and_the_call_is_settled_once(
    caplog: pytest.LogCaptureFixture, first: str, second: str
) -> None:
    played = start()
    ends: dict[str, Callable[[], None]] = {
        "close": played.call.close,
        "deadline": lambda: played.call.fail(EXPIRED, "deadline"),
        "failure": lambda: played.call.fail(EngineFailed("It broke."), "failed"),
    }
    ends[first]()
    ends[second]()
    played.call.choice_end(ChoiceEnd(0, EndReason.CANCELLED))
    played.call.end(an_end())
    ends[second]()
    assert played.call.outcome == {"close": "cancelled", "deadline": "deadline", "failure": "failed"}[first]
    assert played.settled == ["settled"]
    assert len(_bills(caplog)) == 1


async def test_closing_an_answered_call_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    played = start()
    played.call.choice_end(_stop())
    played.call.end(an_end())
    await played.call.outbox.take()
    played.call.close()
    assert (played.call.outcome, played.settled, len(_bills(caplog))) == ("completed", ["settled"], 1)


async def test_the_bill_names_the_call_and_holds_every_number(caplog: pytest.LogCaptureFixture) -> None:
    played = start(n=2, price=1.0)
    played.call.piece(text_piece("a", choice=1, tokens=3))
    played.call.choice_end(ChoiceEnd(1, EndReason.LENGTH))
    played.call.choice_end(_stop(0))
    played.call.end(an_end(prompt=10, cached=8))
    [bill] = _bills(caplog)
    assert bill.pop("seconds") > 0
    assert bill == {
        "request_id": "request-1",
        "trace_id": "0" * 32,
        "chat_id": played.call.started.id,
        "model": "demo",
        "outcome": "completed",
        "finish_reasons": ["stop", "length"],
        "prompt_tokens": 10,
        "completion_tokens": 3,
        "cached_tokens": 8,
        "estimated_cost": 13 / 1e6,
        "error": None,
    }


async def test_the_call_s_span_has_its_tokens_and_where_the_engine_s_time_went() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("chat"):
        played = start()
        played.call.piece(text_piece("Hi", tokens=2))
        played.call.choice_end(ChoiceEnd(0, EndReason.STOP))
        played.call.end(an_end(prompt=10, cached=4))
    attributes = exporter.get_finished_spans()[0].attributes
    assert attributes is not None
    assert dict(attributes) == {
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "chasqui.timings.queue": 1.0,
        "chasqui.timings.prefill": 2.0,
        "chasqui.timings.decode": 3.0,
    }
