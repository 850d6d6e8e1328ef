"""From the contract's events and answers to OpenAI's JSON: chunks, usage and their order."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chasqui.v1 import chat_pb2
from edge.openai.response import ChunkSequence, completion, model_body
from tests.support import events
from tests.support.chat_server import demo_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1.stream_pb2 import StreamEvent

REASONS = {
    chat_pb2.FINISH_REASON_STOP: "stop",
    chat_pb2.FINISH_REASON_LENGTH: "length",
    chat_pb2.FINISH_REASON_TOOL_CALLS: "tool_calls",
}
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 3,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 8},
    "estimated_cost": 14 * 0.055 / 1e6,
}


def as_json(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


def chunks_of(stream: Sequence[StreamEvent], *, n: int = 1, include_usage: bool | None = None) -> list[dict[str, Any]]:
    """The chunks as a client reads them; each is encoded before the next event is looked at, as in a stream."""
    sequence = ChunkSequence(n=n, include_usage=include_usage)
    return [as_json(chunk) for event in stream for chunk in sequence.chunks(event)]


def finishes(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [choice for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"] is not None]


def text_of(chunks: list[dict[str, Any]], index: int) -> str:
    choices = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content", "") for choice in choices)


ONE = [events.started(), events.delta("Hel"), events.delta("lo!"), events.finish(), events.completed()]
TWO = [
    events.started(),
    events.delta("a", 1),
    events.delta("b", 0),
    events.finish(1, chat_pb2.FINISH_REASON_LENGTH),
    events.delta("c", 0),
    events.finish(0),
    events.completed(),
]


def test_the_first_chunk_of_a_choice_carries_the_role_and_the_others_only_what_they_add() -> None:
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks_of(ONE)]
    assert deltas == [{"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo!"}, {}]


def test_a_chunk_has_the_fields_of_openai_and_nothing_else() -> None:
    assert chunks_of(ONE)[1] == {
        "id": events.ANSWER_ID,
        "object": "chat.completion.chunk",
        "created": events.CREATED,
        "model": events.MODEL,
        "system_fingerprint": events.FINGERPRINT,
        "service_tier": "default",
        "choices": [{"index": 0, "delta": {"content": "Hel"}, "logprobs": None, "finish_reason": None}],
    }


def test_every_choice_begins_with_its_own_role() -> None:
    firsts = {
        choice["index"]: choice["delta"] for chunk in reversed(chunks_of(TWO, n=2)) for choice in chunk["choices"]
    }
    assert firsts == {index: {"role": "assistant", "content": ""} for index in (0, 1)}


def test_without_options_usage_stands_on_the_last_finish_chunk_and_nowhere_else() -> None:
    chunks = chunks_of(TWO, n=2)
    assert ["usage" in chunk for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1]["usage"] == USAGE
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_with_include_usage_it_has_a_chunk_of_its_own_and_is_null_in_all_others() -> None:
    chunks = chunks_of(TWO, n=2, include_usage=True)
    assert [chunk["usage"] for chunk in chunks] == [None] * (len(chunks) - 1) + [USAGE]
    assert chunks[-1]["choices"] == []
    assert len(finishes(chunks)) == 2


def test_with_include_usage_no_finish_chunk_waits_for_the_usage() -> None:
    sequence = ChunkSequence(n=1, include_usage=True)
    list(sequence.chunks(events.started()))
    assert len(list(sequence.chunks(events.finish()))) == 1


@pytest.mark.parametrize("include_usage", [True, None])
def test_timings_stand_beside_the_usage_when_they_are_asked_for(include_usage: bool | None) -> None:
    sequence = ChunkSequence(n=2, include_usage=include_usage, include_timings=True)
    chunks = [msgspec.to_builtins(chunk) for event in TWO for chunk in sequence.chunks(event)]
    assert ["timings" in chunk for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1]["usage"] == USAGE
    assert chunks[-1]["timings"] == {
        **{"queue": 0.5, "tokenize": 1.25, "prefill": 20.0, "decode": 1000.001, "total": 61000.0}
    }


def test_usage_is_reported_even_when_no_choice_has_finished() -> None:
    chunks = chunks_of([events.started(), events.completed()])
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == USAGE


@pytest.mark.parametrize(("reason", "word"), REASONS.items(), ids=REASONS.values())
def test_finish_reasons_have_the_same_words_streamed_and_whole(
    reason: chat_pb2.FinishReason.ValueType, word: str
) -> None:
    chunks = chunks_of([events.started(), events.finish(0, reason), events.completed()])
    whole = as_json(completion(events.response(events.choice("", 0, reason)), {}))
    assert finishes(chunks)[0]["finish_reason"] == whole["choices"][0]["finish_reason"] == word


def test_every_reason_of_the_contract_has_a_word() -> None:
    assert set(chat_pb2.FinishReason.values()) - {chat_pb2.FINISH_REASON_UNSPECIFIED} == set(REASONS)


@pytest.mark.parametrize("stop_reason", ["END", ""])
def test_a_stop_sequence_that_matched_is_reported_streamed_and_unstreamed(stop_reason: str) -> None:
    chunks = chunks_of([events.started(), events.finish(stop_reason=stop_reason), events.completed()])
    whole = as_json(completion(events.response(events.choice("", stop_reason=stop_reason)), {}))
    assert finishes(chunks)[0]["stop_reason"] == whole["choices"][0]["stop_reason"] == stop_reason


def test_without_a_stop_sequence_there_is_no_stop_reason_streamed_or_whole() -> None:
    whole = as_json(completion(events.response(events.choice("Hi")), {}))
    assert not any("stop_reason" in choice for choice in [*finishes(chunks_of(ONE)), *whole["choices"]])


def test_a_whole_answer_has_the_fields_of_openai_and_nothing_else() -> None:
    answer = events.response(events.choice("Hello!"), events.choice("", 1, chat_pb2.FINISH_REASON_LENGTH))
    assert as_json(completion(answer, {})) == {
        "id": events.ANSWER_ID,
        "object": "chat.completion",
        "created": events.CREATED,
        "model": events.MODEL,
        "system_fingerprint": events.FINGERPRINT,
        "service_tier": "default",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello!", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            },
            {
                "index": 1,
                "message": {"role": "assistant", "content": "", "refusal": None},
                "logprobs": None,
                "finish_reason": "length",
            },
        ],
        "usage": USAGE,
    }


def test_the_parts_of_an_answer_are_joined_with_nothing_between_them() -> None:
    answer = events.response(events.choice("Hel"))
    answer.choices[0].message.content.append(chat_pb2.ContentPart(text="lo!"))
    assert completion(answer, {}).choices[0].message.content == "Hello!"


def test_the_cost_is_not_rounded() -> None:
    answer = events.response(events.choice("Hi"))
    answer.usage.estimated_cost = 1.2345678901234567e-06
    assert as_json(completion(answer, {}))["usage"]["estimated_cost"] == 1.2345678901234567e-06


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(edges) if end > start]


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[str], list[StreamEvent]]:
    """The texts of 1 to 4 choices, and their events in one of the orders in which a server may send them."""
    texts = draw(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), min_size=1, max_size=4))
    waiting: list[list[StreamEvent]] = []
    for index, text in enumerate(texts):
        parts = cut(text, draw(st.lists(st.integers(0, 30), max_size=6)))
        reason = draw(st.sampled_from(list(REASONS)))
        waiting.append([*(events.delta(part, index) for part in parts), events.finish(index, reason)])
    order = draw(st.permutations([index for index, queue in enumerate(waiting) for _ in queue]))
    return texts, [events.started(), *(waiting[index].pop(0) for index in order), events.completed()]


@given(streams(), st.sampled_from([None, True, False]))
def test_however_a_text_is_cut_and_mixed_its_deltas_join_to_the_whole_answer(
    drawn: tuple[list[str], list[StreamEvent]], include_usage: bool | None
) -> None:
    texts, stream = drawn
    whole = completion(events.response(*(events.choice(text, index) for index, text in enumerate(texts))), {})
    chunks = chunks_of(stream, n=len(texts), include_usage=include_usage)
    assert [text_of(chunks, choice.index) for choice in whole.choices] == [c.message.content for c in whole.choices]
    assert [text_of(chunks, index) for index in range(len(texts))] == texts


@given(streams(), st.sampled_from([None, True, False]))
def test_in_any_order_of_events_each_choice_has_one_role_then_text_then_one_finish(
    drawn: tuple[list[str], list[StreamEvent]], include_usage: bool | None
) -> None:
    texts, stream = drawn
    chunks = chunks_of(stream, n=len(texts), include_usage=include_usage)
    reasons = {e.finish.index: REASONS[e.finish.finish_reason] for e in stream if e.WhichOneof("event") == "finish"}
    for index in range(len(texts)):
        first, *middle, last = [c for chunk in chunks for c in chunk["choices"] if c["index"] == index]
        assert first["delta"] == {"role": "assistant", "content": ""}
        assert first["finish_reason"] is None
        assert all(choice["delta"].keys() == {"content"} and choice["finish_reason"] is None for choice in middle)
        assert last["delta"] == {}
        assert last["finish_reason"] == reasons[index]
    has_usage = include_usage is not False
    assert [bool(chunk.get("usage")) for chunk in chunks] == [False] * (len(chunks) - 1) + [has_usage]
    assert {(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks} == {
        (events.ANSWER_ID, events.CREATED, events.MODEL)
    }


def test_a_model_is_described_with_everything_that_the_contract_has() -> None:
    limit = {"minimum": 0, "maximum": 2, "exclusive_minimum": False, "integer": False, "default": 1}
    assert as_json(model_body(demo_model())) == {
        "id": events.MODEL,
        "object": "model",
        "created": events.CREATED,
        "owned_by": "chasqui",
        "aliases": ["meta-llama/Meta-Llama-3.1-8B-Instruct"],
        "context_length": 1024,
        "default_max_tokens": 256,
        "quantization": "Q8_0",
        "pricing": {"prompt": 0.055, "cached_prompt": 0.025, "completion": 0.155},
        "tier_pricing": {"flex": {"prompt": 0.044, "cached_prompt": 0.02, "completion": 0.124}},
        "supported_parameters": ["temperature", "seed"],
        "limits": {
            "temperature": limit,
            "top_k": limit | {"minimum": -1, "maximum": 999, "integer": True, "default": 0},
            "top_p": limit | {"maximum": 1, "exclusive_minimum": True},
            "max_tokens": limit | {"maximum": 1_000_000, "integer": True, "default": None},
        },
        "tool_syntax": "llama3_json",
        "chat": True,
        "engine": "simulated",
        "system_fingerprint": events.FINGERPRINT,
    }
