"""Sums over the ledger."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import String, cast, func, select

from services.accounts.ledger.usage import UsageRow
from services.accounts.sql.tables import CALLS, HAS_TOKEN, Usd

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from services.accounts.ledger.usage import UsageQuery

# Both databases write a moment as 2027-01-31 12:00:00.
_TIME_LENGTHS: Final = {"month": 7, "day": 10, "hour": 13}
_NOTHING: Final = Decimal(0)
_COUNTS: Final = ("prompt_tokens", "cached_tokens", "completion_tokens")


def usage_report(engine: Engine, query: UsageQuery) -> list[UsageRow]:
    """The sums that the query asks for, ordered by its groups; without groups, one row."""
    groups = [_group(name).label(name) for name in query.by]
    sums = [func.coalesce(func.sum(CALLS.c[name]), 0).label(name) for name in _COUNTS]
    cost = func.sum(CALLS.c.cost, type_=Usd).label("cost")
    statement = select(*groups, func.count().label("calls"), *sums, cost).select_from(CALLS)
    if query.since is not None:
        statement = statement.where(CALLS.c.at >= query.since)
    if query.until is not None:
        statement = statement.where(CALLS.c.at < query.until)
    for name, value in query.where.items():
        statement = statement.where(CALLS.c[name] == value)
    if query.where.get("token"):
        statement = statement.where(HAS_TOKEN)
    if groups:
        statement = statement.group_by(*groups).order_by(*groups)
    with engine.connect() as connection:
        rows = connection.execute(statement).mappings().all()
    return [
        UsageRow(
            groups={name: row[name] for name in query.by},
            calls=row["calls"],
            **{name: int(row[name]) for name in _COUNTS},
            cost=row["cost"] or _NOTHING,
        )
        for row in rows
    ]


def _group(name: str) -> Any:
    length = _TIME_LENGTHS.get(name)
    return CALLS.c[name] if length is None else func.substr(cast(CALLS.c.at, String), 1, length)
