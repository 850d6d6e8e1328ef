"""Where prompts of one caller part from each other, and that the memory for them is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.chat.request.prompt_history import PromptHistory, SharedPrompt


def test_a_first_prompt_has_nothing_to_be_compared_with() -> None:
    assert PromptHistory().compare("ana", [1, 2, 3]) is None


def test_a_prompt_is_compared_with_the_most_similar_of_its_caller_s_last_ones() -> None:
    history = PromptHistory()
    for prompt in ([1, 2, 3, 4], [9, 9]):
        history.compare("ana", prompt)
    assert history.compare("ana", [1, 2, 3, 4, 5]) == SharedPrompt(4, 4)
    assert history.compare("ana", [1, 2, 7]) == SharedPrompt(2, 4)
    assert history.compare("ana", [8]) == SharedPrompt(0, 2)


def test_callers_are_not_compared_with_each_other() -> None:
    history = PromptHistory()
    history.compare("ana", [1, 2, 3])
    assert history.compare("ben", [1, 2, 3]) is None


def test_a_caller_s_ninth_last_prompt_is_forgotten() -> None:
    history = PromptHistory()
    for number in range(9):
        history.compare("ana", [number, number])
    assert history.compare("ana", [1, 1, 5]) == SharedPrompt(2, 2)
    assert history.compare("ana", [0, 0]) == SharedPrompt(0, 2)


def test_of_more_tokens_than_the_bound_the_callers_that_were_silent_longest_are_forgotten() -> None:
    history = PromptHistory(most_tokens=100)
    for caller in ("ana", "ben", "ana", "che"):
        history.compare(caller, [1] * 30)
    assert history.compare("ana", [1]) is not None
    assert history.compare("ben", [1]) is None


@given(st.lists(st.integers(0, 1), max_size=5), st.lists(st.integers(0, 1), max_size=5), st.integers(0, 3000))
def test_the_common_beginning_is_counted_exactly(one: list[int], other: list[int], shared: int) -> None:
    expected = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    history = PromptHistory()
    history.compare("ana", [70_000] * shared + one)
    assert history.compare("ana", [70_000] * shared + other) == SharedPrompt(shared + expected, shared + len(one))
