"""The phases of a call, which add up to no more than the whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.chat.answer.usage import timings_of
from services.engine.api import EngineTimings

SECONDS = st.floats(0, 100)
PHASES = ("queue", "tokenize", "prefill", "decode")


@given(SECONDS, SECONDS, SECONDS, SECONDS, SECONDS)
def test_the_phases_never_add_up_to_more_than_the_call(
    queue: float, tokenize: float, prefill: float, decode: float, total: float
) -> None:
    timings = timings_of(EngineTimings(queue, prefill, decode), tokenize, total)
    nanoseconds = [getattr(timings, phase).ToNanoseconds() for phase in PHASES]
    assert min(nanoseconds) >= 0
    assert sum(nanoseconds) <= timings.total.ToNanoseconds() + 1  # a sum of floats is not exact


def test_what_the_engines_clock_has_more_than_the_call_is_cut_from_its_last_phase() -> None:
    timings = timings_of(EngineTimings(1.0, 2.0, 4.0), 0.5, 7.25)
    measured = [getattr(timings, phase).ToTimedelta().total_seconds() for phase in (*PHASES, "total")]
    assert measured == [1.0, 0.5, 2.0, 3.75, 7.25]
