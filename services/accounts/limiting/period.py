"""Days and months of UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Periods:
    """The day and the month that it is, as 2027-01-31 and 2027-01: written once a day."""

    def __init__(self) -> None:
        self._ordinal = 0
        self._names = ("", "")

    def of(self, now: datetime) -> tuple[str, str]:
        """Those of a moment of UTC."""
        ordinal = now.toordinal()
        if ordinal != self._ordinal:
            self._ordinal, self._names = ordinal, (f"{now:%Y-%m-%d}", f"{now:%Y-%m}")
        return self._names


def until_next(limit: str, now: datetime) -> float:
    """Seconds until the day, or for `usd_per_month` the month, is over."""
    today = datetime(now.year, now.month, now.day, tzinfo=UTC)
    if limit == "usd_per_month":
        later = today.replace(day=28) + timedelta(days=4)  # always in the next month
        return (later.replace(day=1) - now).total_seconds()
    return (today + timedelta(days=1) - now).total_seconds()
