"""What is asked of the ledger, and what it replies: sums over calls, by key, owner, user, model, endpoint or time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

# What calls can be selected by, and what they can be summed by.
FILTERS: Final = ("key", "owner", "user", "token", "model", "endpoint", "outcome")
GROUPS: Final = (*FILTERS, "month", "day", "hour")


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Calls that arrived from `since` until before `until`, None without a bound, and have the values of `where`.

    `by` are names of `GROUPS`, none of them for one sum; `where` has names of `FILTERS`. Days and months are those of
    UTC.
    """

    by: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UsageRow:
    """A sum; `groups` has the value of each group that was asked for. `cost` is in USD, exact."""

    groups: Mapping[str, str]
    calls: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost: Decimal
