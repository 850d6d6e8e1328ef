"""In which order calls of the service tiers run, and what flex calls leave to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat.scheduling.admission import Admission
from services.chat.scheduling.tiered_queue import PRIORITY_SHARE
from services.errors import Unavailable
from services.service_tier import ServiceTier

if TYPE_CHECKING:
    from services.chat.scheduling.admission import Reservation

TIERS = {"p": ServiceTier.PRIORITY, "d": ServiceTier.DEFAULT, "f": ServiceTier.FLEX}


class Rig:
    """An admission whose calls are named by the letter of their tier, that of their caller, and a number.

    Flex calls are `preempted` but for those in `keeps`, until they `give_up` their slots.
    """

    def __init__(self, parallel: int = 1, max_queue: int = 100) -> None:
        self.admission = Admission(parallel, max_queue, 1_000_000)
        self.began: list[str] = []
        self.running: list[str] = []
        self.preempted: list[str] = []
        self.keeps: set[str] = set()
        self.calls: dict[str, Reservation] = {}

    def reserve(self, name: str, n: int = 1) -> None:
        """A call arrives, and its prompt is processed."""
        self.calls[name] = self.admission.reserve(name[1], n, TIERS[name[0]])

    def call(self, name: str, n: int = 1, *, streamed: bool = False) -> None:
        """A call arrives and waits."""
        self.reserve(name, n)
        preempt = (lambda: self._preempt(name)) if name[0] == "f" else None
        self.admission.queue(
            self.calls[name], 1, lambda: self._begin(name), remaining=None, preempt=preempt, streamed=streamed
        )

    def give_up(self, name: str) -> None:
        """The engine has ended a call that was preempted."""
        self.preempted.remove(name)
        self.running.remove(name)
        self.admission.queue_again(self.calls[name])

    def end(self, *names: str) -> None:
        """Calls end."""
        for name in names:
            for names_of in (self.running, self.preempted):
                if name in names_of:
                    names_of.remove(name)
            self.admission.release(self.calls.pop(name))

    def run_all(self) -> list[str]:
        """End what runs, one call after the other, until nothing does; the order in which the calls began."""
        for name in self.began:  # which grows
            self.end(name)
        return self.began

    def _begin(self, name: str) -> None:
        self.began.append(name)
        self.running.append(name)

    def _preempt(self, name: str) -> bool:
        if name not in self.keeps:
            self.preempted.append(name)
        return name not in self.keeps


async def test_priority_calls_run_before_default_calls_and_those_before_flex_calls() -> None:
    rig = Rig()
    for name in ("da0", "fa1", "da1", "pa1", "fb2", "pb2", "db2"):
        rig.call(name)
    assert rig.run_all() == ["da0", "pa1", "pb2", "da1", "db2", "fa1", "fb2"]


async def test_one_choice_in_five_is_of_a_default_call_while_priority_calls_wait() -> None:
    rig = Rig()
    rig.call("da0")
    for number in range(12):
        rig.call(f"pa{number}")
    for number in range(3):
        rig.call(f"db{number}")
    assert "".join(name[0] for name in rig.run_all()[1:]) == "ppppdppppdppppd"


@given(
    st.lists(st.tuples(st.sampled_from("pd"), st.sampled_from("abc"), st.integers(1, 4)), min_size=30, max_size=60),
    st.lists(st.booleans(), min_size=60, max_size=60),
)
async def test_however_calls_come_a_default_call_waits_for_a_bounded_number_of_priority_choices(
    arrivals: list[tuple[str, str, int]], ends: list[bool]
) -> None:
    rig = Rig(parallel=4)
    for number, ((tier, caller, n), ends_one) in enumerate(zip(arrivals, ends, strict=False)):
        rig.call(f"{tier}{caller}{number}", n)
        if ends_one and rig.running:
            rig.end(rig.running[0])
    sizes = {f"{tier}{caller}{number}": n for number, (tier, caller, n) in enumerate(arrivals)}
    began = len(rig.began)
    for name in rig.began:
        if name in rig.calls:
            rig.end(name)
    assert len(rig.began) == len(arrivals)
    # From here on all that is left waits: the choices of priority calls before each default call.
    ahead, last = 0, 4  # at the beginning, the last default call may have had as many choices as there are
    defaults = [index for index, name in enumerate(rig.began) if name[0] == "d" and index >= began]
    for index in range(began, max(defaults, default=began)):
        name = rig.began[index]
        if name[0] == "p":
            ahead += sizes[name]
            assert ahead < PRIORITY_SHARE * (last + 1) + 4
        else:
            ahead, last = 0, sizes[name]


async def test_within_a_tier_callers_take_turns_whatever_they_run_in_other_tiers() -> None:
    rig = Rig(parallel=2)
    rig.call("pa0")
    rig.call("pb0")
    for name in ("da1", "da2", "db1"):
        rig.call(name)
    rig.end("pb0")
    rig.end("da1")
    assert rig.began[2:] == ["da1", "db1"]


async def test_a_flex_call_waits_while_another_call_waits_or_its_prompt_is_processed() -> None:
    rig = Rig(parallel=2)
    rig.reserve("da1", n=2)
    rig.call("fa1")
    assert rig.began == []
    rig.end("da1")
    assert rig.began == ["fa1"]


async def test_flex_calls_take_every_idle_slot_and_those_that_began_last_give_theirs_up() -> None:
    rig = Rig(parallel=4)
    for number in range(5):
        rig.call(f"fa{number}")
    assert rig.began == ["fa0", "fa1", "fa2", "fa3"]
    rig.call("da0")
    rig.call("pa0")
    assert (rig.began[4:], rig.preempted) == ([], ["fa3", "fa2"])
    rig.give_up("fa3")
    assert rig.began[4:] == ["pa0"]
    rig.give_up("fa2")
    assert rig.began[5:] == ["da0"]
    rig.end("pa0", "da0")
    assert rig.began[6:] == ["fa2", "fa3"]
    assert rig.admission.preempted == 2


async def test_no_more_flex_calls_are_preempted_than_there_are_slots_lacking() -> None:
    rig = Rig(parallel=4)
    for number in range(3):
        rig.call(f"fa{number}")
    rig.call("da0")
    rig.call("da1", n=2)
    assert rig.preempted == ["fa2", "fa1"]
    rig.call("fb0")
    rig.end("da0")
    assert rig.preempted == ["fa2", "fa1"]


async def test_a_flex_call_that_cannot_be_preempted_keeps_its_slot_and_an_older_one_gives_its_up() -> None:
    rig = Rig(parallel=2)
    rig.call("fa0")
    rig.call("fa1")
    rig.keeps = {"fa1"}
    rig.call("da0")
    assert rig.preempted == ["fa0"]
    rig.call("da1")
    rig.end("fa1")
    assert rig.began[2:] == ["da0"]
    rig.give_up("fa0")
    assert rig.began[3:] == ["da1"]


async def test_a_preempted_call_whose_caller_leaves_frees_its_slots_once() -> None:
    rig = Rig(parallel=1)
    rig.call("fa0")
    rig.call("da0")
    assert rig.preempted == ["fa0"]
    rig.end("fa0")
    assert rig.began == ["fa0", "da0"]
    rig.end("da0")
    rig.call("fb0", n=1)
    assert rig.began[2:] == ["fb0"]


@pytest.mark.parametrize(("parallel", "most"), [(1, 1), (2, 1), (4, 3), (20, 18), (100, 90)])
async def test_streamed_flex_calls_leave_a_tenth_of_the_slots_and_at_least_one_of_several(
    parallel: int, most: int
) -> None:
    rig = Rig(parallel)
    for number in range(parallel + 1):
        rig.call(f"fa{number}", streamed=True)
    assert len(rig.began) == most
    if parallel > 1:
        rig.call("da0")
        assert rig.began[-1] == "da0"
    rig.end("fa0")
    assert sum(name[0] == "f" for name in rig.running) == most
    while rig.running:
        rig.end(rig.running[0])
    rig.call("fb0", n=parallel, streamed=True)
    assert rig.running == ["fb0"]


@given(
    st.lists(st.tuples(st.sampled_from("pdf"), st.sampled_from("ab"), st.integers(1, 3)), min_size=20, max_size=60),
    st.lists(st.integers(0, 2), min_size=60, max_size=60),
)
async def test_however_calls_come_and_are_preempted_no_slot_is_lost_and_all_of_them_run(
    arrivals: list[tuple[str, str, int]], steps: list[int]
) -> None:
    rig = Rig(parallel=3)
    sizes: dict[str, int] = {}

    def check() -> None:
        assert sum(sizes[name] for name in rig.running) <= 3
        assert rig.admission.running == len(rig.running)

    for number, ((tier, caller, n), step) in enumerate(zip(arrivals, steps, strict=False)):
        name = f"{tier}{caller}{number}"
        sizes[name] = n
        rig.call(name, n)
        check()
        if step and rig.preempted:
            rig.give_up(rig.preempted[0])
        elif step > 1 and rig.running:
            rig.end(rig.running[0])
        check()
    while rig.preempted or rig.running:
        if rig.preempted:
            rig.give_up(rig.preempted[0])
        else:
            rig.end(rig.running[0])
        check()
    assert rig.admission.waiting == rig.admission.running == 0
    assert rig.calls == {}


async def test_a_flex_call_with_as_many_choices_as_there_are_slots_runs_when_all_are_idle() -> None:
    rig = Rig(parallel=4)
    rig.call("fa1")
    rig.call("fb1", n=4)
    assert rig.began == ["fa1"]
    rig.end("fa1")
    assert rig.began == ["fa1", "fb1"]


@pytest.mark.parametrize("tier", "pdf")
async def test_a_tier_whose_queue_is_full_takes_no_room_from_another(tier: str) -> None:
    rig = Rig(1, max_queue=2)
    rig.call("dx0")
    for caller in "ab":
        rig.call(f"{tier}{caller}")
    with pytest.raises(Unavailable):
        rig.call(f"{tier}c")
    for other in "pdf".replace(tier, ""):
        rig.call(f"{other}a")


async def test_a_flex_call_that_was_given_up_says_when_to_try_again() -> None:
    rig = Rig()
    rig.call("da0")
    rig.call("fa1")
    error = rig.admission.flex_unavailable(rig.calls["fa1"])
    assert (error.code.name, error.reason, error.param) == (
        "RESOURCE_EXHAUSTED",
        "RESOURCE_UNAVAILABLE",
        "service_tier",
    )
    assert error.retry_after is not None
    assert error.retry_after >= 1
