"""Which calls are taken, in which order they run, and what refused callers get."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat.scheduling.admission import Admission
from services.errors import Code, DeadlineExceeded, Unavailable

if TYPE_CHECKING:
    from services.chat.scheduling.admission import Reservation

PLENTY = 1_000_000


class Rig:
    """An admission whose calls have names, and the order in which they began."""

    def __init__(self, parallel: int = 1, max_queue: int = 100, max_tokens: int = PLENTY) -> None:
        self.admission = Admission(parallel, max_queue, max_tokens)
        self.began: list[str] = []
        self.reservations: dict[str, Reservation] = {}

    def call(self, name: str, n: int = 1, tokens: int = 1, remaining: float | None = None, weight: int = 1) -> None:
        """A call arrives and waits; the caller is the letter that its name begins with."""
        reservation = self.admission.reserve(name[0], n, weight=weight)
        try:
            self.admission.queue(reservation, tokens, lambda: self.began.append(name), remaining=remaining)
        except Exception:
            self.admission.release(reservation)
            raise
        self.reservations[name] = reservation

    def end(self, *names: str) -> None:
        """Calls are over, or given up."""
        for name in names:
            self.admission.release(self.reservations[name])

    def run_all(self) -> list[str]:
        """End what runs, one call after the other, until nothing does; the order in which the calls began."""
        for name in self.began:  # which grows
            self.end(name)
        return self.began


def refusal(rig: Rig, name: str, **fields: int) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        rig.call(name, **fields)
    assert (caught.value.code, caught.value.reason) == (Code.UNAVAILABLE, "OVERLOADED")
    return caught.value


@pytest.mark.parametrize(
    ("parallel", "max_queue", "taken"), [(1, 0, 1), (4, 0, 4), (1, 1, 2), (1, 10, 6), (4, 256, 132)]
)
async def test_a_caller_alone_gets_the_free_slots_and_half_of_the_queue(
    parallel: int, max_queue: int, taken: int
) -> None:
    rig = Rig(parallel, max_queue)
    for number in range(taken):
        rig.call(f"a{number}")
    assert "your share" in refusal(rig, "a-one-more").message or max_queue < 2


@pytest.mark.parametrize("max_queue", [5, 16, 256])
async def test_behind_two_callers_who_take_all_they_get_a_third_is_still_taken(max_queue: int) -> None:
    rig = Rig(1, max_queue)
    for caller in "ab":
        for number in range(1000):
            try:
                rig.call(f"{caller}{number}")
            except Unavailable:
                break
    rig.call("c")


async def test_a_full_queue_refuses_everybody() -> None:
    rig = Rig(1, 2)
    for name in ("a1", "a2", "b1"):
        rig.call(name)
    assert "2 choices wait" in refusal(rig, "c1").message


async def test_choices_count_one_by_one() -> None:
    rig = Rig(4, 4)
    rig.call("a1", n=4)
    rig.call("b1", n=2)
    refusal(rig, "c1", n=3)
    rig.call("c1", n=2)
    refusal(rig, "d1")


async def test_calls_whose_prompt_is_being_made_count_as_waiting() -> None:
    rig = Rig(1, 1)
    reservations = [rig.admission.reserve(caller, 1) for caller in "ab"]
    refusal(rig, "c")
    rig.admission.release(reservations[0])
    rig.call("c")


async def test_a_refused_call_does_not_count() -> None:
    rig = Rig(1, 0)
    rig.call("a1")
    for _ in range(3):
        refusal(rig, "a2")
    rig.end("a1")
    rig.call("a2")


async def test_tokens_that_wait_are_bounded_with_a_share_for_every_caller() -> None:
    rig = Rig(1, 100, max_tokens=1000)
    rig.call("a1", tokens=5000)
    rig.call("a2", tokens=400)
    refusal(rig, "a3", tokens=300)
    rig.call("b1", tokens=600)
    refusal(rig, "c1", tokens=1)
    rig.end("a1")
    rig.call("c1", tokens=100)


async def test_the_tokens_of_all_choices_count() -> None:
    rig = Rig(2, 100, max_tokens=1000)
    rig.call("a1", n=2)
    rig.call("b1", tokens=100)
    refusal(rig, "c1", n=2, tokens=451)
    rig.call("c1", n=2, tokens=450)


async def test_a_call_of_any_size_may_wait_when_no_other_does() -> None:
    rig = Rig(1, 100, max_tokens=10)
    rig.call("a1")
    rig.call("a2", tokens=5000)
    rig.end("a1")
    assert rig.began == ["a1", "a2"]


async def test_a_call_runs_at_once_where_there_is_a_place_for_all_of_its_choices() -> None:
    rig = Rig(4)
    rig.call("a1", n=3)
    rig.call("a2", n=2)
    assert rig.began == ["a1"]
    rig.end("a1")
    assert rig.began == ["a1", "a2"]


async def test_callers_take_turns_however_many_calls_one_of_them_has() -> None:
    rig = Rig(1)
    for number in range(20):
        rig.call(f"a{number}")
    for name in ("b0", "c0", "b1"):
        rig.call(name)
    assert rig.run_all()[:7] == ["a0", "a1", "b0", "c0", "a2", "b1", "a3"]


async def test_who_has_the_fewest_choices_running_comes_first() -> None:
    rig = Rig(4)
    for number in range(8):
        rig.call(f"a{number}")
    rig.call("b0")
    rig.call("b1")
    rig.call("b2")
    rig.end("a0")
    rig.end("a1")
    assert rig.began[4:] == ["b0", "b1"]
    rig.end("b0")
    assert rig.began[6:] == ["b2"]


async def test_a_call_with_many_choices_is_not_overtaken_for_ever() -> None:
    rig = Rig(4)
    for number in range(4):
        rig.call(f"a{number}")
    rig.call("b0", n=4)
    for caller in "cdefgh":
        rig.call(caller)
    rig.end("a0", "a1", "a2")
    assert len(rig.began) == 4
    rig.end("a3")
    assert rig.began[4:] == ["b0"]


async def test_a_waiting_call_that_is_given_up_leaves_its_place_to_others_and_never_begins() -> None:
    rig = Rig(1, 2)
    for name in ("a1", "b1", "c1"):
        rig.call(name)
    rig.end("b1")
    rig.call("d1")
    assert rig.run_all() == ["a1", "c1", "d1"]


async def test_leaving_twice_changes_nothing() -> None:
    rig = Rig(1, 0)
    rig.call("a1")
    rig.end("a1", "a1")
    rig.call("a2")
    refusal(rig, "a3")


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(1, 4), st.integers(1, 90), st.booleans()), min_size=1))
async def test_whatever_comes_and_goes_the_bounds_hold_and_everyone_taken_is_served(
    arrivals: list[tuple[str, int, int, bool]],
) -> None:
    rig = Rig(4, 8, max_tokens=100)
    gone = set()
    for number, (caller, n, tokens, ends_one) in enumerate(arrivals):
        name = f"{caller}{number}"
        try:
            rig.call(name, n=n, tokens=tokens)
        except Unavailable:
            continue
        if ends_one:
            victim = next(one for one in rig.reservations if one not in gone)
            gone.add(victim)
            rig.end(victim)
        running = sum(rig.reservations[one].n for one in rig.began if one not in gone)
        waiting = [call for one, call in rig.reservations.items() if one not in gone and one not in rig.began]
        assert running <= 4
        # Slots that are free, but too few for the next call, may wait with it: then as many more choices may queue.
        assert sum(call.n for call in waiting) == rig.admission.queued <= 8 + 4 - running
        assert sum(call.tokens for call in waiting[1:]) <= 100
    rig.run_all()
    assert set(rig.began) | gone == set(rig.reservations)
    assert max(Counter(rig.began).values(), default=1) == 1
    await rig.admission.drained()


async def test_behind_a_call_that_waits_for_all_slots_the_free_ones_count_as_room() -> None:
    rig = Rig(4, 2)
    rig.call("a1")
    rig.call("b1", n=4)
    rig.call("c1")
    refusal(rig, "d1")
    assert (rig.began, rig.admission.queued) == (["a1"], 5)


async def test_closed_admission_refuses_even_when_slots_are_free() -> None:
    rig = Rig(4, 4)
    rig.admission.close()
    with pytest.raises(Unavailable) as caught:
        rig.call("a1")
    assert caught.value.reason == "DRAINING"


async def test_closed_admission_lets_admitted_calls_run() -> None:
    rig = Rig(1)
    rig.call("a1")
    rig.call("a2")
    rig.admission.close()
    assert rig.run_all() == ["a1", "a2"]


async def test_when_halted_nothing_begins_any_more() -> None:
    rig = Rig(1)
    rig.call("a1")
    rig.call("a2")
    rig.admission.halt()
    rig.end("a1")
    assert rig.began == ["a1"]


async def test_nobody_is_refused_for_lack_of_time_before_a_call_has_ended() -> None:
    rig = Rig(1)
    rig.call("a1")
    rig.call("a2", remaining=0.001)


async def test_a_call_whose_time_ends_before_its_turn_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    rig = Rig(2)
    rig.call("a1")
    now += 10.0
    rig.end("a1")
    for name in ("a2", "a3", "a4", "a5", "a6", "a7"):
        rig.call(name)
    # Four wait for two reservations, each of which becomes free every 10 s; callers take turns.
    with pytest.raises(DeadlineExceeded):
        rig.call("a8", remaining=24.0)
    rig.call("a8", remaining=26.0)
    with pytest.raises(DeadlineExceeded):
        rig.call("b1", remaining=9.0)
    rig.call("b1", remaining=11.0)


async def test_a_call_that_need_not_wait_is_not_refused_for_lack_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    rig = Rig(1)
    rig.call("a1")
    now += 100.0
    rig.end("a1")
    rig.call("a2", remaining=0.001)
    assert rig.began == ["a1", "a2"]


@pytest.mark.parametrize(
    ("seconds", "waiting", "lowest", "highest"), [(0.01, 3, 1, 3), (2.0, 4, 10, 21), (1000.0, 1, 29.5, 60)]
)
async def test_hints_when_to_retry_follow_the_queue_are_spread_and_at_most_a_minute(
    monkeypatch: pytest.MonkeyPatch, seconds: float, waiting: int, lowest: float, highest: float
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    rig = Rig(1, 2 * waiting - 1)
    rig.call("a0")
    now += seconds
    rig.end("a0")
    for number in range(waiting + 1):
        rig.call(f"a{number + 1}")
    hints = [hint for _ in range(50) if (hint := refusal(rig, "a-one-more").retry_after) is not None]
    assert len(set(hints)) == 50
    assert lowest <= min(hints)
    assert max(hints) <= highest
    assert max(hints) - min(hints) > (highest - lowest) / 2


async def test_a_server_that_nobody_entered_is_drained() -> None:
    await Rig().admission.drained()


async def test_a_server_is_drained_when_its_last_call_has_left() -> None:
    rig = Rig(1)
    rig.call("a1")
    rig.call("a2")
    rig.admission.close()
    drained = asyncio.create_task(rig.admission.drained())
    rig.end("a1")
    await asyncio.sleep(0)
    assert not drained.done()
    rig.end("a2")
    await drained


async def test_a_caller_of_more_weight_has_its_turn_more_often_and_nobody_waits_for_ever() -> None:
    rig = Rig(1, 1000)
    rig.call("x")
    for number in range(40):
        rig.call(f"high{number}", weight=16)
        rig.call(f"normal{number}", weight=4)
        rig.call(f"low{number}", weight=1)
    first = rig.run_all()[1:43]
    counts = [sum(name.startswith(caller) for name in first) for caller in ("high", "normal", "low")]
    assert counts == [32, 8, 2]


async def test_a_caller_of_more_weight_has_more_slots_and_others_one_each() -> None:
    rig = Rig(8, 1000)
    for number in range(8):
        rig.call(f"x{number}")
    for number in range(20):
        rig.call(f"high{number}", weight=16)
        rig.call(f"low{number}", weight=1)
    rig.end(*(f"x{number}" for number in range(8)))
    assert sorted(name.rstrip("0123456789") for name in rig.began[8:]) == ["high"] * 7 + ["low"]
