"""The queue of calls, in an order that is fair between callers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping


class Waiting(Protocol):
    """A queued call: its caller, the caller's weight, its number of choices, and the tokens of all of them."""

    caller: str
    weight: int
    n: int
    tokens: int


Call = TypeVar("Call", bound=Waiting)


@dataclass(slots=True)
class _Line(Generic[Call]):
    """The queued calls of one caller, oldest first, and the sums of their choices and tokens."""

    weight: int
    turn: float  # among callers that have equally many choices running, the lowest is next
    calls: deque[Call] = field(default_factory=deque)
    choices: int = 0
    tokens: int = 0


class FairQueue(Generic[Call]):
    """The next call is the oldest of the caller who has the fewest choices running, divided by the caller's weight.

    Among equals, callers take turns, those of more weight more often (stride scheduling, Waldspurger and Weihl, 1995):
    a caller that was served, or is new, comes after all others of its weight. So a caller that sends a thousand calls
    delays another by one of them, and nobody waits for ever.
    """

    def __init__(self) -> None:
        self.choices = 0
        self.tokens = 0
        self._lines: dict[str, _Line[Call]] = {}  # by caller; of equal turns, the first is next
        self._turn = 0.0  # of the last call that started

    def __bool__(self) -> bool:
        """Whether calls are queued."""
        return bool(self._lines)

    def add(self, call: Call, *, first: bool = False) -> None:
        """Queue a call behind its caller's others, or as the `first` of them."""
        line = self._lines.get(call.caller)
        if line is None:
            line = self._lines[call.caller] = _Line(call.weight, self._turn + 1 / call.weight)
        if first:
            line.calls.appendleft(call)
        else:
            line.calls.append(call)
        line.choices += call.n
        line.tokens += call.tokens
        self.choices += call.n
        self.tokens += call.tokens

    def next(self, running: Mapping[str, int]) -> Call:
        """The call whose turn it is, which stays queued; `running` has choices by caller. The queue has calls."""
        lines = self._lines
        caller = min(lines, key=lambda name: (running.get(name, 0) / lines[name].weight, lines[name].turn))
        return lines[caller].calls[0]

    def take(self, call: Call) -> None:
        """Remove a call that starts: its caller's next turn comes after those of all others of its weight."""
        line = self._lines[call.caller]
        self._turn = max(self._turn, line.turn)
        self.remove(call)
        if self._lines.pop(call.caller, None) is not None:
            line.turn = self._turn + 1 / line.weight
            self._lines[call.caller] = line

    def remove(self, call: Call) -> None:
        """Remove a call from any position; the turns stay as they are."""
        line = self._lines[call.caller]
        line.calls.remove(call)
        line.choices -= call.n
        line.tokens -= call.tokens
        self.choices -= call.n
        self.tokens -= call.tokens
        if not line.calls:
            del self._lines[call.caller]

    def tokens_of(self, caller: str) -> int:
        """Tokens of the caller's queued calls."""
        line = self._lines.get(caller)
        return line.tokens if line is not None else 0

    def choices_before(self, caller: str, n: int) -> int:
        """Choices that start until a new call of the caller with `n` choices has, its own included."""
        own = self._lines.get(caller)
        mine = n + (own.choices if own is not None else 0)
        return mine + sum(min(line.choices, mine) for name, line in self._lines.items() if name != caller)
