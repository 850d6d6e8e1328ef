"""The interface of what counts: a store of calls, tokens and money by subject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from services.rate_limit_headers import rate_limit_headers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from services.accounts.keys.limits import Limits

MINUTE: Final = 60.0
# What is counted for a minute is counted in steps of this many seconds: a rate is met to within 0.5 %.
STEP: Final = 0.25
STEPS: Final = int(MINUTE / STEP)


# Structs, because every call makes several: they take a quarter of the time of named tuples, and the garbage collector
# need not look at them.
class Budget(Struct, frozen=True, gc=False):
    """Picodollars for all time, which is over at a moment; the store may forget it then."""

    cost: int
    expires_at: datetime


class Subject(Struct, frozen=True, gc=False):
    """Who is counted: a key by its name, all calls together, or a token, which has a `budget` and no limits."""

    name: str
    limits: Limits
    budget: Budget | None = None


class Amounts(Struct, frozen=True, gc=False):
    """What is taken from the limits, or given back; the cost is in picodollars."""

    calls: int = 0
    running: int = 0
    tokens: int = 0
    cost: int = 0


class Gauge(Struct, frozen=True, gc=False):
    """A limit per minute as it stands: what is left of it, and the seconds until all of it is there again."""

    limit: int
    remaining: int
    reset_seconds: float


class Standing(Struct, frozen=True, gc=False):
    """The limits per minute of the first subject that has them; None without one."""

    calls: Gauge | None = None
    tokens: Gauge | None = None

    def headers(self) -> dict[str, str]:
        """The headers by which OpenAI's API says the same."""
        return rate_limit_headers(self.calls, self.tokens)


class Grant(Struct, frozen=True, gc=False):
    """What was taken: for whom, when (the number of a step, a day, a month), and how the limits stand since then."""

    subjects: Sequence[Subject]
    amounts: Amounts
    step: int
    day: str
    month: str
    standing: Standing = Standing()  # if the store knew it then


@dataclass(frozen=True, slots=True)
class Shortage(Exception):
    """A limit does not allow what is asked for: nothing was taken.

    `limit` is the name of a field of `Limits`, or `SPENDING`; `wait` are the seconds until the same may be taken, None
    if it never may.
    """

    subject: Subject
    limit: str
    wait: float | None
    standing: Standing = field(default_factory=Standing)


@dataclass(frozen=True, slots=True)
class SpendingUnknown(Exception):
    """The store does not have what a subject with a budget has spent: it must be begun, and nothing was taken."""

    subject: Subject


class StoreAway(Exception):
    """The store cannot be reached."""


# The name of the limit that a budget is.
SPENDING: Final = "spending_limit"
# Reads from the ledger the USD of a token, by the name of its key and its id. Waits as the next one.
TokenSpent = Callable[[str, str], "Decimal"]
# Reads from the ledger the USD of this day and month by subject. Waits for the database: AccountsError if it is away.
Spent = Callable[[], "Mapping[str, tuple[Decimal, Decimal]]"]
# Whether the key with a name is revoked or has expired.
KeyIsOver = Callable[[str], bool]


class LimitStore(Protocol):
    """Counts. Taking is atomic over all subjects and limits."""

    available: bool

    async def take(self, subjects: Sequence[Subject], amounts: Amounts) -> Grant:
        """Count the amounts for every subject; Shortage if a limit of one does not allow it.

        SpendingUnknown for a subject with a budget that is not begun, StoreAway.
        """

    async def begin(self, subject: Subject, spent: int) -> None:
        """Count a subject with a budget from the picodollars that it has spent, unless it is counted; StoreAway."""

    def standing(self, grant: Grant) -> Standing:
        """How the limits per minute of those who have a grant stand, now or when it was taken."""

    def give_back(self, grant: Grant, amounts: Amounts) -> None:
        """Give back some of what was taken; does not wait. `amounts` are what the grant has too much."""

    def spent(self, names: Sequence[str]) -> Mapping[str, tuple[int, int]]:
        """Picodollars of this day and of this month by the subject's name, where they are known.

        Does not wait, and may be called in another thread: what is not in memory is there a second later.
        """

    async def close(self) -> None:
        """Close the connections."""

    async def run(self, spent: Spent, token_spent: TokenSpent) -> None:
        """Keep what the store needs up to date until cancelled; the arguments read what the ledger has."""
