"""llama.cpp's request and messages, translated without llama.cpp."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.engine.api import ChoiceEnd, EndReason, Generation, Sampling, TokenDelta
from services.engine.llama_cpp.completion import CompletionState, completion_request, token_ranges


def message(
    text: str, tokens: int, *, finish: str | None = None, index: int = 0, cached: int = 0, **timings: float
) -> dict[str, Any]:
    """A message of a completion; `tokens` is the count so far, as llama.cpp reports it."""
    return {
        "choices": [{"index": index, "text": text, "finish_reason": finish}],
        "timings": {"predicted_n": tokens, "cache_n": cached, "prompt_ms": 0.0, "predicted_ms": 0.0, **timings},
    }


def with_ids(message: dict[str, Any], *ids: int) -> dict[str, Any]:
    """The message with the ids that it has where they are asked for."""
    return message | {"__verbose": {"tokens": list(ids)}}


def test_a_resumed_generation_asks_for_what_is_left_behind_what_is_there() -> None:
    wanted = Generation((1, 2), 20, min_tokens=5, generated=(3, 4, 5), reports_ids=True)
    request = completion_request(wanted, text_tokens=[(0, 99)])
    assert (request["prompt"], request["max_tokens"], request["repeat_last_n"]) == ([1, 2, 3, 4, 5], 17, 22)
    assert "start: <[0-99]>{2} <[0-99]>*" in request["grammar"]
    assert (request["return_tokens"], request["verbose"]) == (True, True)
    assert "grammar" not in completion_request(Generation((1, 2), 20, min_tokens=2, generated=(3, 4)))
    assert "return_tokens" not in completion_request(Generation((1, 2), 20))


def test_ids_are_those_of_the_text_and_too_few_for_a_character_of_several_tokens() -> None:
    state = state_of(reports_ids=True)
    prefill = with_ids(message("", 0), 0)
    deltas = _all(
        state, prefill, with_ids(message("A", 1), 11), with_ids(message("", 2), 12), with_ids(message("B", 3), 13)
    )
    assert deltas == [TokenDelta(0, 1, "A", [11]), TokenDelta(0, 2, "B", [12, 13])]
    assert _all(state, with_ids(message("é", 5), 15)) == [TokenDelta(0, 2, "é", [15])]
    assert _all(state, with_ids(message("", 6, finish="length"))) == [
        TokenDelta(0, 1),
        ChoiceEnd(0, EndReason.LENGTH),
    ]


def state_of(**fields: Any) -> CompletionState:
    """The state of a generation with a prompt of ten tokens."""
    return CompletionState(Generation(prompt=[1] * 10, max_tokens=100, **fields))


def _all(state: CompletionState, *messages: dict[str, Any]) -> list[TokenDelta | ChoiceEnd]:
    return [event for one in messages for event in state.events(one)]


def test_every_field_of_a_generation_reaches_the_request() -> None:
    sampling = Sampling(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        min_p=0.1,
        repetition_penalty=1.1,
        presence_penalty=0.2,
        frequency_penalty=0.3,
        seed=7,
        logit_bias={5: -100.0, 6: 2.5},
    )
    request = completion_request(Generation((1, 2, 3), 20, sampling, n=2, ignore_eos=True))
    wanted = {
        "prompt": [1, 2, 3],
        "max_tokens": 20,
        "n": 2,
        "ignore_eos": True,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.1,
        "repeat_penalty": 1.1,
        "presence_penalty": 0.2,
        "frequency_penalty": 0.3,
        "seed": 7,
        "logit_bias": [[5, -100.0], [6, 2.5]],
    }
    assert wanted.items() <= request.items()


def test_a_generation_without_wishes_is_neutral_and_has_no_seed() -> None:
    request = completion_request(Generation((1,), 1))
    neutral = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0, "logit_bias": []}
    assert neutral.items() <= request.items()
    assert "seed" not in request


def test_penalties_count_the_whole_prompt_and_completion() -> None:
    assert completion_request(Generation(range(100), 20))["repeat_last_n"] == 120


@pytest.mark.parametrize(
    ("seed", "sent"),
    [(0, 0), (2**32 - 2, 2**32 - 2), (2**32 - 1, 0), (2**32, 1), (2**63 - 1, 2**31 - 1)],
)
def test_a_seed_is_folded_into_32_bits_and_never_means_random(seed: int, sent: int) -> None:
    assert completion_request(Generation((1,), 1, Sampling(seed=seed)))["seed"] == sent


def test_text_becomes_deltas_with_the_tokens_since_the_last_one() -> None:
    events = _all(state_of(), message("a", 1), message("b", 2), message("cd", 4), message("", 4, finish="length"))
    assert events == [
        TokenDelta(0, 1, text="a"),
        TokenDelta(0, 1, text="b"),
        TokenDelta(0, 2, text="cd"),
        ChoiceEnd(0, EndReason.LENGTH),
    ]


def test_tokens_inside_a_character_count_when_it_is_whole() -> None:
    events = _all(state_of(), message("", 1), message("", 2), message("🦙", 3))
    assert events == [TokenDelta(0, 3, text="🦙")]


def test_the_token_that_ends_the_turn_is_not_counted() -> None:
    state = state_of()
    events = _all(state, message("a", 1), message("", 2), message("", 2, finish="stop"))
    assert events == [TokenDelta(0, 1, text="a"), ChoiceEnd(0, EndReason.STOP)]
    assert state.open_choices == set()


def test_an_empty_completion_has_no_delta() -> None:
    assert _all(state_of(), message("", 1, finish="stop")) == [ChoiceEnd(0, EndReason.STOP)]


def test_text_cut_inside_a_character_counts_its_last_tokens() -> None:
    events = _all(state_of(), message("a", 1), message("", 2), message("", 3, finish="length"))
    assert sum(event.tokens for event in events if isinstance(event, TokenDelta)) == 3
    assert events[-1] == ChoiceEnd(0, EndReason.LENGTH)


def test_choices_are_counted_apart() -> None:
    state = state_of(n=2)
    events = _all(
        state,
        message("a", 1, index=0),
        message("x", 1, index=1),
        message("b", 2, index=0),
        message("", 2, index=1, finish="stop"),
    )
    assert events == [
        TokenDelta(0, 1, text="a"),
        TokenDelta(1, 1, text="x"),
        TokenDelta(0, 1, text="b"),
        ChoiceEnd(1, EndReason.STOP),
    ]
    assert state.open_choices == {0}


def test_nothing_follows_the_end_of_a_choice() -> None:
    state = state_of()
    _all(state, message("a", 1, finish="length"))
    assert _all(state, message("b", 2), message("", 2, finish="stop")) == []


def test_progress_of_the_prompt_is_no_event() -> None:
    progress = {"choices": [{"index": 0, "text": "", "finish_reason": None}], "prompt_progress": {"processed": 5}}
    assert _all(state_of(), progress, {}) == []


@pytest.mark.parametrize(
    ("error", "expected"), [({"message": "No slot."}, "No slot."), ({"code": 500}, "500"), ({"message": ""}, "")]
)
def test_an_error_message_fails_the_completion_without_an_event(error: dict[str, Any], expected: str) -> None:
    state = state_of()
    assert _all(state, {"error": error}) == []
    assert state.error is not None
    assert expected in state.error


def test_times_and_cache_are_those_of_the_last_message() -> None:
    state = state_of()
    _all(
        state,
        message("a", 1, cached=8, prompt_ms=250.0, predicted_ms=1.0),
        message("b", 2, cached=8, prompt_ms=250.0, predicted_ms=1500.0),
    )
    assert (state.prefill_seconds, state.decode_seconds, state.cached_tokens) == (0.25, 1.5, 8)


def test_no_more_tokens_are_cached_than_the_prompt_has() -> None:
    state = state_of()
    _all(state, message("a", 1, cached=12))
    assert state.cached_tokens == 10


@given(st.lists(st.sampled_from(["", "", "a", "🦙", "two"]), max_size=20), st.sampled_from(["stop", "length"]))
def test_every_token_but_the_one_that_ends_the_turn_is_billed_once(texts: list[str], finish: str) -> None:
    state = state_of()
    messages = [message(text, count) for count, text in enumerate(texts, 1)]
    if finish == "stop":  # the end token comes as one more message without text
        messages.append(message("", len(texts) + 1))
    messages.append(message("", len(messages), finish=finish))
    events = _all(state, *messages)
    deltas = [event for event in events if isinstance(event, TokenDelta)]
    assert sum(delta.tokens for delta in deltas) == len(texts)
    assert "".join(delta.text for delta in deltas) == "".join(texts)
    assert all(delta.tokens > 0 for delta in deltas)
    assert events[-1] == ChoiceEnd(0, EndReason.STOP if finish == "stop" else EndReason.LENGTH)


def token(token_id: int, text: str, tokens: int) -> dict[str, Any]:
    """A message about one token, with the id that llama.cpp reports beside log probabilities."""
    one = message(text, tokens)
    entry = {"id": token_id, "bytes": list(text.encode()), "logprob": -1.0, "top_logprobs": []}
    one["choices"][0]["logprobs"] = {"content": [entry]}
    return one


def test_a_stop_token_ends_its_choice_without_text_and_is_not_counted() -> None:
    state = state_of(stop_token_ids=frozenset({7}))
    events = _all(state, token(1, "a", 1), token(7, "b", 2), token(1, "c", 3))
    assert events == [TokenDelta(0, 1, text="a"), ChoiceEnd(0, EndReason.STOP)]
    assert state.open_choices == set()


def test_token_ids_are_asked_for_where_stop_tokens_need_them() -> None:
    assert completion_request(Generation(prompt=[1], max_tokens=1, stop_token_ids=frozenset({7})))["n_probs"] == 1
    assert "n_probs" not in completion_request(Generation(prompt=[1], max_tokens=1))


def test_a_slot_and_visible_special_tokens_are_named_only_if_there_are_any() -> None:
    wanted = Generation(prompt=[1], max_tokens=1)
    assert {"id_slot", "preserved_tokens"}.isdisjoint(completion_request(wanted))
    request = completion_request(wanted, 0, ["<tool_call>"])
    assert (request["id_slot"], request["preserved_tokens"]) == (0, ["<tool_call>"])


@pytest.mark.parametrize(
    ("fields", "grammar"),
    [
        ({"min_tokens": 3}, "<[0-3,6-6]>{3} <[0-3,6-6]>*"),
        ({"min_tokens": 3, "stop_token_ids": frozenset({1, 5, 6})}, "<[0-0,2-3]>{3} <[0-3,6-6]>*"),
        ({"min_tokens": 3, "stop_token_ids": frozenset({0, 3})}, "<[1-2,6-6]>{3} <[0-3,6-6]>*"),
        ({"min_tokens": 0}, None),
        ({"min_tokens": 3, "ignore_eos": True}, None),
    ],
)
def test_min_tokens_are_a_grammar_of_tokens_that_are_text(fields: dict[str, Any], grammar: str | None) -> None:
    request = completion_request(Generation([1], 9, **fields), text_tokens=token_ranges([0, 1, 2, 3, 6]))
    assert request.get("grammar") == (None if grammar is None else f"%llguidance {{}}\nstart: {grammar}")


def test_an_answer_that_ends_before_min_tokens_is_an_error() -> None:
    state = state_of(min_tokens=3)
    assert _all(state, message("ab", 2), message("", 3, finish="stop")) == [TokenDelta(0, 2, text="ab")]
    assert state.error == "llama.cpp ended the answer before min_tokens."
