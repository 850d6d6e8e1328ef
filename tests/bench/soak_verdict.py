"""What a soak has shown: leaks, wrong answers, and errors for which no kill is to blame; pure."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tests.support.holdings import Holdings

GAPS: Final = "longest gap between tokens of a normal stream"  # a check's name
# What a call may still meet after a part serves again: Envoy's health checks of the other parts.
_AFTERMATH = 1.0
# In how many seconds everything serves again after a kill.
_MOST_OUTAGE = 5.0
# A process is warm after its first samples; before, memory grows as caches fill.
_WARM = 2
_FEWEST_SAMPLES = 8
_MEMORY_ALLOWANCE = 12 * 2**20
_COUNT_ALLOWANCE = 8
# How many timers were at most so many seconds late, by that bound: the buckets of a histogram, cumulative.
Lateness = dict[float, int]


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that has failed, with its times in seconds of the monotonic clock; `wrong`: it was answered, wrongly."""

    began: float
    ended: float
    what: str
    wrong: bool = False


@dataclass(frozen=True, slots=True)
class Kill:
    """A part that was killed, and when calls got through again."""

    part: str
    killed: float
    restored: float

    def excuses(self, failure: Failure) -> bool:
        """Whether the failure may have come of it; a wrong answer never does."""
        overlaps = failure.began <= self.restored + _AFTERMATH and failure.ended >= self.killed
        return overlaps and not failure.wrong


@dataclass(frozen=True, slots=True)
class Sample:
    """What a part held when nothing ran, and its event loop's tasks; `process` distinguishes its restarts."""

    part: str
    process: int
    held: Holdings
    tasks: int


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the verdict."""

    name: str
    figure: str
    passed: bool


def verdict(
    right: Mapping[str, int],
    failures: Sequence[Failure],
    kills: Sequence[Kill],
    samples: Sequence[Sample],
    stuck: Sequence[str],
) -> list[Check]:
    """All checks. `stuck` says which slots were not free when nothing ran."""
    wrong = [failure for failure in failures if failure.wrong]
    excused = [failure for failure in failures if any(kill.excuses(failure) for kill in kills)]
    budget = len(failures) - len(wrong) - len(excused)
    longest = max((kill.restored - kill.killed for kill in kills), default=0.0)
    return [
        Check("lost or wrong answers", f"{len(wrong)} of {sum(right.values()) + len(failures):,}", not wrong),
        Check("errors without a kill to blame", f"{budget}, and {len(excused)} with", not budget),
        Check("longest time to serve again", f"{longest:.1f} s after {len(kills)} kills", longest <= _MOST_OUTAGE),
        Check("slots and queue empty when nothing runs", "; ".join(stuck) or "always", not stuck),
        *_leaks(samples),
    ]


def lateness_check(part: str, lag: Lateness, blocked: Lateness, allowance: float, *, strict: bool) -> Check:
    """Whether an event loop got to its timers in time; `allowance` is the bound of a bucket.

    Judged by what its own process delayed, in `blocked`. In `lag` is also what others on the machine delayed, which
    counts if the check is `strict`.
    """
    total = max(blocked.values(), default=0)
    late = total - blocked.get(allowance, 0)
    words = (
        f"{late} of {total} timers delayed by more than {allowance * 1000:.0f} ms, none by more than {_most(blocked)}"
    )
    late_in_all = total - lag.get(allowance, 0)
    figure = f"{words}; {late_in_all} and {_most(lag)} with what it waited for a CPU"
    return Check(f"event loop of {part}", figure, total > 0 and not (late_in_all if strict else late))


def _most(counts: Lateness) -> str:
    """The bound below which all are."""
    total = max(counts.values(), default=0)
    return f"{min((bound for bound, count in counts.items() if count == total), default=0.0) * 1000:.0f} ms"


def gaps_check(gaps: Sequence[float], alone: Sequence[float], bound: float, reader_late: float) -> Check:
    """Whether in 99 % of the normal streams no two tokens were further apart than the bound.

    `gaps` has the longest gap of each stream in seconds, `alone` those without hostile traffic. `reader_late` is the
    longest delay of the process that read them, which the machine alone makes.
    """
    figure = (
        f"{_in_words(gaps)}; {sum(gap > bound for gap in gaps)} of {len(gaps):,} above {1000 * bound:.0f} ms; without "
        f"hostile traffic {_in_words(alone)}; their reader was late by up to {1000 * reader_late:.0f} ms itself"
    )
    passed = bool(gaps) and _of_a_hundred(gaps, 99) <= bound
    return Check(GAPS, figure, passed)


def _in_words(gaps: Sequence[float]) -> str:
    half, most, longest = (1000 * _of_a_hundred(gaps, percent) for percent in (50, 99, 100))
    return f"{half:.0f} ms in half of the streams, {most:.0f} ms in 99 %, {longest:.0f} ms in all"


def _of_a_hundred(gaps: Sequence[float], percent: int) -> float:
    """The gap that so many percent of the streams do not exceed; 0 without streams."""
    return sorted(gaps)[math.ceil(len(gaps) * percent / 100) - 1] if gaps else 0.0


def hostile_check(answered: Mapping[str, int], failures: Sequence[Failure]) -> Check:
    """Whether every hostile input got an answer that it may get."""
    wrong = sorted({failure.what for failure in failures})
    return Check(
        "hostile inputs", f"{sum(answered.values()):,}; {'; '.join(wrong) or 'all refused or bounded'}", not wrong
    )


def _leaks(samples: Iterable[Sample]) -> list[Check]:
    """One check for the longest life of each part, from when it was warm to its end."""
    lives: dict[str, list[Sample]] = {}
    for (part, _), group in groupby(sorted(samples, key=_life), _life):
        lives[part] = max(lives.get(part, []), list(group), key=len)
    return [_leak(part, life) for part, life in lives.items()]


def _life(sample: Sample) -> tuple[str, int]:
    return sample.part, sample.process


def _leak(part: str, life: Sequence[Sample]) -> Check:
    """Whether the last third of a life held more than the first."""
    if len(life) < _FEWEST_SAMPLES:
        return Check(f"leaks of {part}", f"too few: {len(life)} samples", passed=True)
    warm = life[_WARM:]
    third = len(warm) // 3

    def grown(held: Callable[[Sample], int]) -> float:
        return statistics.median(map(held, warm[-third:])) - statistics.median(map(held, warm[:third]))

    memory = grown(lambda sample: sample.held.memory)
    counts = {
        "descriptors": grown(lambda sample: sample.held.descriptors),
        "threads": grown(lambda sample: sample.held.threads),
        "tasks": grown(lambda sample: sample.tasks),
    }
    differences = ", ".join(f"{count:+.0f} {name}" for name, count in counts.items())
    passed = memory <= _MEMORY_ALLOWANCE and max(counts.values()) <= _COUNT_ALLOWANCE
    return Check(f"leaks of {part}", f"{memory / 2**20:+.1f} MiB, {differences}, {len(life)} samples", passed)
