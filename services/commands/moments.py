"""Moments and spans of time, as they are written on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SPAN: Final = re.compile(r"(\d{1,6})([smhd])")


class Span(click.ParamType[timedelta]):
    """A number and its unit, as `90m` or `30d`."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parse it."""
        if isinstance(value, timedelta):
            return value
        found = _SPAN.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is no time span; 45s, 90m, 12h and 30d are.", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


class Moment(click.ParamType[datetime]):
    """A date or a time in ISO 8601, of UTC unless it says otherwise, or a span from now on; `ahead` or back."""

    name = "moment"

    def __init__(self, *, ahead: bool) -> None:
        self._ahead = ahead

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse it."""
        if isinstance(value, datetime):
            return value
        if _SPAN.fullmatch(value):
            span = Span().convert(value, param, ctx)
            return datetime.now(UTC) + (span if self._ahead else -span)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; 2027-01-31, 2027-01-31T12:00Z and spans as 30d are.", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
