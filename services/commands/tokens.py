"""`chasqui keys token`: signs a scoped token with a key, without a server or a database."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import click

from services.accounts.factory import sign_token
from services.accounts.keys.key import AccountsError
from services.accounts.keys.scoped_token import LONGEST, ScopedToken, ScopeError, spending_limit
from services.commands.moments import Moment
from services.settings import SettingsError

if TYPE_CHECKING:
    from decimal import Decimal


def _names(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...]:
    return () if value is None else tuple(name.strip() for name in value.split(","))


def _usd(_: click.Context, __: click.Parameter, value: str | None) -> Decimal | None:
    try:
        return None if value is None else spending_limit(value)
    except ScopeError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.argument("key", default="-")
@click.option("--models", callback=_names, metavar="A,B", help="The only models that it may use. Default: all of KEY.")
@click.option("--expires", "expires_at", type=Moment(ahead=True), help="When it ends: a date, or 1h. Default: 365d.")
@click.option("--usd", "limit", callback=_usd, metavar="N", help="Most USD that all of its calls may cost together.")
@click.option("--id", "token_id", help="Its name in the ledger. Default: a random one.")
def token(
    key: str, models: tuple[str, ...], expires_at: datetime | None, limit: Decimal | None, token_id: str | None
) -> None:
    """Sign a token with KEY, a part of its rights, and print it. KEY is read from the input if it is left out."""
    end = expires_at or datetime.now(UTC) + LONGEST
    try:
        made = ScopedToken(token_id or uuid4().hex, end, models, limit)
        secret = sys.stdin.readline().strip() if key == "-" else key
        click.echo(sign_token(secret, made))
    except (AccountsError, ScopeError, SettingsError) as error:
        click.echo(f"chasqui: {error}", err=True)
        sys.exit(2)
