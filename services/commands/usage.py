"""`chasqui usage`: what the ledger of `CHASQUI_ACCOUNTS` says, as a table, CSV or JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from services.accounts.factory import opened_ledger
from services.accounts.ledger.usage import FILTERS, GROUPS, UsageQuery
from services.commands.listing import FORMATS, listed
from services.commands.moments import Moment
from services.settings import SettingsError, read_environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from services.accounts.ledger.usage import UsageRow


def _groups(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(GROUPS)}.")
    return names


_BY: Final = f"What the sums are grouped by, of {', '.join(GROUPS)}; separated by commas, empty for one sum."


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    """The options that select calls, None where they are not given."""
    for name in reversed(FILTERS):
        command = click.option(f"--{name}", help=f"Calls with this {name} only.")(command)
    return command


@click.command()
@click.option("--accounts", metavar="FILE|URL", help="Where the ledger is.  [CHASQUI_ACCOUNTS]")
@click.option("--by", callback=_groups, default="key", show_default=True, metavar="A,B", help=_BY)
@click.option("--since", type=Moment(ahead=False), help="Calls from then on: a date of UTC, or 30d before now.")
@click.option("--until", type=Moment(ahead=False), help="Calls before then.")
@_filters
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
def usage(
    accounts: str | None,
    by: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    form: str,
    **where: str | None,
) -> None:
    """Show tokens and cost of all calls, to the last picodollar; cancelled and failed ones are among them."""
    try:
        with opened_ledger(read_environment({} if accounts is None else {"accounts": accounts})) as report:
            given = {name: value for name, value in where.items() if value is not None}
            rows = report(UsageQuery(by, since, until, given))
    except SettingsError as error:
        click.echo(f"chasqui: {error}", err=True)
        sys.exit(2)
    if rows or form == "json":
        click.echo(listed([_columns(row) for row in rows], form))


def _columns(row: UsageRow) -> dict[str, Any]:
    return {
        **row.groups,
        "calls": row.calls,
        "prompt_tokens": row.prompt_tokens,
        "cached_tokens": row.cached_tokens,
        "completion_tokens": row.completion_tokens,
        "cost_usd": row.cost,
    }
