"""The soak's verdict: what counts as lost, excused and leaked."""

from __future__ import annotations

import pytest

from tests.bench.soak_verdict import Failure, Kill, Sample, gaps_check, lateness_check, verdict
from tests.support.holdings import Holdings

MIB = 2**20
KILL = Kill("edge", killed=10.0, restored=12.0)


def life(part: str, memory: list[int], process: int = 1, descriptors: int = 10, tasks: int = 5) -> list[Sample]:
    return [Sample(part, process, Holdings(descriptors, 4, held), tasks) for held in memory]


def failed(failures: list[Failure], kills: list[Kill], samples: list[Sample], stuck: list[str]) -> set[str]:
    return {check.name for check in verdict({"whole": 9}, failures, kills, samples, stuck) if not check.passed}


@pytest.mark.parametrize(
    ("failure", "bad"),
    [
        (Failure(9.0, 10.5, "503"), set()),
        (Failure(12.5, 12.6, "503"), set()),
        (Failure(1.0, 9.9, "503"), {"errors without a kill to blame"}),
        (Failure(13.5, 14.0, "503"), {"errors without a kill to blame"}),
        (Failure(10.5, 11.0, "another's answer", wrong=True), {"lost or wrong answers"}),
    ],
)
def test_a_kill_excuses_errors_near_it_and_no_wrong_answer(failure: Failure, bad: set[str]) -> None:
    assert failed([failure], [KILL], [], []) == bad


def test_a_part_that_comes_back_late_and_a_call_that_never_ends_are_bad() -> None:
    slow = Kill("server", killed=20.0, restored=26.0)
    assert failed([], [KILL, slow], [], ["round 3: 1 calls"]) == {
        "longest time to serve again",
        "slots and queue empty when nothing runs",
    }


@pytest.mark.parametrize(
    ("samples", "bad"),
    [
        (life("server", [100 * MIB] * 12), set()),
        (life("server", [60 * MIB, 90 * MIB, *[100 * MIB] * 10]), set()),
        (life("server", [(100 + 3 * i) * MIB for i in range(12)]), {"leaks of server"}),
        (life("edge", [60 * MIB] * 6) + life("edge", [60 * MIB] * 6, descriptors=30), {"leaks of edge"}),
        (life("edge", [60 * MIB] * 6) + life("edge", [60 * MIB] * 6, tasks=30), {"leaks of edge"}),
        (life("edge", [60 * MIB] * 12) + life("edge", [900 * MIB] * 3, process=2), set()),
        (life("edge", [(60 + 9 * i) * MIB for i in range(7)]), set()),
    ],
    ids=["steady", "warming up", "memory", "descriptors", "tasks", "two lives", "too few samples"],
)
def test_what_the_longest_life_of_a_part_gained_once_warm_is_a_leak(samples: list[Sample], bad: set[str]) -> None:
    assert failed([], [], samples, []) == bad


def test_an_event_loop_is_judged_by_what_its_own_process_delayed() -> None:
    blocked = {0.02: 90, 0.05: 100, 0.25: 100}
    lag = {0.02: 80, 0.05: 95, 0.25: 100}
    good = lateness_check("edge", lag, blocked, 0.05, strict=False)
    assert good.passed
    assert good.figure == (
        "0 of 100 timers delayed by more than 50 ms, none by more than 50 ms; "
        "5 and 250 ms with what it waited for a CPU"
    )
    assert not lateness_check("edge", lag, blocked, 0.05, strict=True).passed
    assert not lateness_check("edge", lag, lag, 0.05, strict=False).passed
    assert not lateness_check("edge", {}, {}, 0.05, strict=False).passed


@pytest.mark.parametrize(("late", "passed"), [(0, True), (2, True), (3, False), (200, False)])
def test_one_in_a_hundred_streams_may_have_a_longer_gap(late: int, passed: bool) -> None:
    gaps = [0.055] * (200 - late) + [0.3] * late
    assert gaps_check(gaps, [0.01], 0.055, 0.0).passed is passed


def test_without_streams_nothing_is_known_of_their_gaps() -> None:
    assert not gaps_check([], [], 0.055, 0.0).passed
