"""Which of llama.cpp's slots a generation gets, so that conversations find their last turn there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.engine.llama_cpp.prompt_cache import PromptCache, _common_prefix

SYSTEM = [1] * 5
ANA, BEN = ([*SYSTEM, *[person] * 10] for person in (2, 3))


def run(cache: PromptCache, prompt: list[int], n: int = 1, generated: int = 5) -> int | None:
    slot = cache.take(prompt, n)
    cache.give_back(slot, generated)
    return slot


def test_each_of_several_conversations_keeps_its_slot_turn_after_turn() -> None:
    cache = PromptCache(2)
    turns = [run(cache, [*person, *[9] * 20 * turn]) for turn in range(4) for person in (ANA, BEN)]
    assert turns == [0, 1] * 4


def test_a_new_conversation_takes_the_slot_that_was_unused_for_the_longest_time() -> None:
    cache = PromptCache(2)
    assert [run(cache, prompt) for prompt in (ANA, BEN, [*ANA, 5], [7])] == [0, 1, 0, 1]


def test_a_long_common_beginning_is_worth_more_than_the_little_that_is_lost() -> None:
    cache = PromptCache(2)
    run(cache, [1] * 1000 + [2] * 10, generated=20)
    assert run(cache, [1] * 1000 + [3]) == 0
    assert run(cache, [1] * 100 + [3]) == 1


def test_a_slot_that_is_in_use_is_not_given_twice() -> None:
    cache = PromptCache(2)
    assert [cache.take(ANA, 1), cache.take(ANA, 1)] == [0, 1]
    cache.give_back(1, 5)
    assert cache.take(BEN, 1) == 1


def test_slots_that_are_busy_at_the_same_time_are_neighbours() -> None:
    cache = PromptCache(8)
    for number in range(6):  # slots 0 to 5 have been used, slot 6 was unused for the longest time
        run(cache, [number])
    taken = [cache.take([100 + number], 1) for number in range(4)]
    assert sorted(slot for slot in taken if slot is not None) == [4, 5, 6, 7]
    cache.give_back(5, 5)
    assert cache.take([200], 1) == 5, "the slot that joins two groups"


def test_a_conversation_goes_back_to_its_slot_away_from_busy_ones_only_if_it_saves_enough() -> None:
    cache = PromptCache(8)
    long, short = [1] * 1000, [2] * 100
    for prompt in (long, short, [3], [4], [5]):
        run(cache, prompt)
    assert cache.take([6], 1) == 5
    assert cache.take([*long, 9], 1) == 0
    assert cache.take([*short, 9], 1) == 1, "next to the slot that the long one is in"
    cache.give_back(0, 5)
    cache.give_back(1, 5)
    assert cache.take([*short, 9, 9], 1) in {4, 6}, "next to the slot that is busy"


@pytest.mark.parametrize("n", [2, 3])
def test_llama_cpp_chooses_while_a_generation_has_several_choices_and_what_it_chose_is_unknown(n: int) -> None:
    cache = PromptCache(3)
    run(cache, ANA)
    assert cache.take(BEN, n) is None
    assert run(cache, [*ANA, 5]) is None
    cache.give_back(None, 5)
    assert run(cache, [*ANA, 5]) == 1, "slot 0 is not known to hold the conversation any more"


@given(st.lists(st.integers(0, 1), max_size=5), st.lists(st.integers(0, 1), max_size=5), st.integers(0, 600))
def test_the_common_beginning_of_two_prompts_is_counted(one: list[int], other: list[int], shared: int) -> None:
    expected = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    assert _common_prefix([7] * shared + one, [7] * shared + other) == shared + expected
