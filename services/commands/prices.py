"""`chasqui prices`: lists, sets and withdraws the prices of `CHASQUI_ACCOUNTS`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click

from services.accounts.factory import opened_price_store
from services.accounts.keys.key import AccountsError
from services.accounts.prices.price import Price, amounts_of
from services.commands.listing import FORMATS, listed
from services.commands.moments import Moment
from services.settings import SettingsError, read_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from services.accounts.api import PriceStore
    from services.accounts.prices.listed_price import ListedPrice

_FORMAT: Final = click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)


@click.group()
@click.option("--accounts", metavar="FILE|URL", help="Where the prices are.  [CHASQUI_ACCOUNTS]")
@click.pass_context
def prices(context: click.Context, accounts: str | None) -> None:
    """Manage prices; a running server bills calls by the one that is valid when they arrive.

    Where none is valid, that is CHASQUI_PRICE. Those of the service tiers are multiples of either.
    """
    context.obj = {} if accounts is None else {"accounts": accounts}


def _with_store(command: Callable[..., None]) -> Callable[..., None]:
    """Call a command with the prices; what cannot be done is one sentence on the terminal, and status 2."""

    @wraps(command)
    def run(**options: Any) -> None:
        try:
            with opened_price_store(read_environment(click.get_current_context().obj)) as store:
                command(store, **options)
        except (AccountsError, SettingsError) as error:
            click.echo(f"chasqui: {error}", err=True)
            sys.exit(2)

    return run


def _amounts(_: click.Context, __: click.Parameter, value: str) -> tuple[Decimal, Decimal, Decimal]:
    try:
        return amounts_of(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


@prices.command("list")
@click.option("--all", "everything", is_flag=True, help="Past and withdrawn ones, too.")
@_FORMAT
@_with_store
def list_prices(store: PriceStore, form: str, everything: bool) -> None:
    """List the prices that are or will be valid, in USD per million tokens."""
    rows = _rows(store.all())
    shown = [row for row in rows if everything or row["status"] in {"current", "future"}]
    if shown or form == "json":
        click.echo(listed(shown, form))


@prices.command("set")
@click.argument("amounts", callback=_amounts, metavar="PRICE")
@click.option(
    "--model", default="", help="The id of the only model that it is for.  [all without a price of their own]"
)
@click.option(
    "--from", "valid_from", type=Moment(ahead=True), help="When it begins: a date of UTC, or 7d from now.  [now]"
)
@_with_store
def set_price(
    store: PriceStore, amounts: tuple[Decimal, Decimal, Decimal], model: str, valid_from: datetime | None
) -> None:
    """Set a price and print its version, which the ledger has with each call.

    PRICE is that of a million tokens in USD, or the three of prompt, cached prompt and completion tokens, as
    0.05,0.0125,0.1.
    """
    click.echo(store.add(Price(*amounts, version=""), model, valid_from).price.version)


@prices.command()
@click.argument("version")
@_with_store
def withdraw(store: PriceStore, version: str) -> None:
    """Withdraw the price VERSION, which is not valid yet."""
    store.withdraw(version)


def _rows(found: Sequence[ListedPrice]) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    current = {one.model: one for one in found if one.withdrawn_at is None and one.valid_from <= now}
    return [_row(one, "current" if current.get(one.model) is one else _status(one, now)) for one in found]


def _status(price: ListedPrice, now: datetime) -> str:
    if price.withdrawn_at is not None:
        return "withdrawn"
    return "past" if price.valid_from <= now else "future"


def _row(listed_price: ListedPrice, status: str) -> dict[str, Any]:
    price = listed_price.price
    return {
        "version": price.version,
        "model": listed_price.model or "all",
        "valid_from": listed_price.valid_from.isoformat(),
        "status": status,
        "prompt": price.prompt,
        "cached_prompt": price.cached_prompt,
        "completion": price.completion,
    }
