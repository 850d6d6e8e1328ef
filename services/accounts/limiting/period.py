"""Days and months of UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def until_next(limit: str, now: datetime) -> float:
    """Seconds until the day, or for `usd_per_month` the month, is over."""
    today = datetime(now.year, now.month, now.day, tzinfo=UTC)
    if limit == "usd_per_month":
        later = today.replace(day=28) + timedelta(days=4)  # always in the next month
        return (later.replace(day=1) - now).total_seconds()
    return (today + timedelta(days=1) - now).total_seconds()
