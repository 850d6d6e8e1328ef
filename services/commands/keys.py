"""`chasqui keys`: creates, lists, limits, rotates and revokes the API keys of `CHASQUI_ACCOUNTS`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click

from services.accounts.factory import opened_key_store
from services.accounts.keys.key import ENDPOINTS, PRIORITIES, AccountsError, Key
from services.accounts.keys.limits import LIMIT_NAMES, Limits, limit_of
from services.accounts.keys.secret import shown_prefix
from services.accounts.prices.money import usd_text
from services.commands.listing import FORMATS, listed
from services.commands.moments import Moment, Span
from services.commands.tokens import token
from services.service_tier import ServiceTier
from services.settings import SettingsError, read_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.accounts.api import KeyStore

_ALL: Final = "all"
_NONE: Final = "none"
_PRIORITY: Final = click.option(
    "--priority", type=click.Choice(list(PRIORITIES)), help="Its share of the slots while calls wait."
)
_FORMAT: Final = click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)


@click.group()
@click.option("--accounts", metavar="FILE|URL", help="Where the keys are.  [CHASQUI_ACCOUNTS]")
@click.pass_context
def keys(context: click.Context, accounts: str | None) -> None:
    """Manage API keys; a running server takes every change within a second."""
    context.obj = {} if accounts is None else {"accounts": accounts}


keys.add_command(token)


def _with_store(command: Callable[..., None]) -> Callable[..., None]:
    """Call a command with the keys; what cannot be done is one sentence on the terminal, and status 2."""

    @wraps(command)
    def run(**options: Any) -> None:
        try:
            with opened_key_store(read_environment(click.get_current_context().obj)) as store:
                command(store, **options)
        except (AccountsError, SettingsError) as error:
            click.echo(f"chasqui: {error}", err=True)
            sys.exit(2)

    return run


def _rights(command: Callable[..., None]) -> Callable[..., None]:
    """The options for what a key may do, None where they are not given."""
    options = (
        click.option("--owner", help="Who pays: a person, a team or a customer."),
        click.option("--expires", "expires_at", type=Moment(ahead=True), help="When it ends: a date, or 30d from now."),
        click.option(
            "--models", callback=_names, metavar="A,B", help="The only models that it may use; all lifts the limit."
        ),
        click.option(
            "--endpoints",
            callback=_names,
            metavar="A,B",
            help=f"The only endpoints that it may use, of {', '.join(ENDPOINTS)}; all lifts the limit.",
        ),
        click.option(
            "--tiers",
            callback=_names,
            metavar="A,B",
            help=f"The only service tiers that it may use, of {', '.join(ServiceTier)}; all lifts the limit.",
        ),
    )
    decorators: list[Callable[[Any], Any]] = [*options, *map(_limit_option, LIMIT_NAMES), _PRIORITY]
    for option in reversed(decorators):
        command = option(command)
    return command


def _limit_option(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    words = name.replace("_", " ").replace("usd", "USD")
    flag = "--" + name.replace("_", "-")
    return click.option(flag, name, callback=_limit, metavar="N", help=f"Most {words}; none lifts the limit.")


def _limit(_: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """The limit that is given, NONE to lift it; None if the option is not given."""
    if value is None or value == _NONE:
        return value
    try:
        return limit_of(str(parameter.name), value)
    except ValueError as error:
        raise click.BadParameter(f"{error}, nor 'none'.") from None


def _names(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """The names in a list with commas, none for `all`; None if the option is not given."""
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if names == (_ALL,):
        return ()
    if not names:
        raise click.BadParameter("there is no name in it; 'all' lifts the limit.")
    return names


@keys.command()
@click.argument("name")
@_rights
@_FORMAT
@_with_store
def create(store: KeyStore, name: str, form: str, **rights: Any) -> None:
    """Create the key NAME and print it: it is not shown again."""
    given = _given(rights)
    limits = Limits(**{field: given.pop(field) for field in LIMIT_NAMES if field in given})
    key = Key(name, given.pop("owner", ""), datetime.now(UTC), limits=limits, **given)
    _show_secret(store, store.create(key), name, form)


@keys.command("list")
@click.option("--all", "everything", is_flag=True, help="Revoked and expired ones, too.")
@_FORMAT
@_with_store
def list_keys(store: KeyStore, form: str, everything: bool) -> None:
    """List the keys."""
    rows = _rows(store, [key for key in store.all() if everything or key.status == "active"])
    if rows or form == "json":
        click.echo(listed(rows, form))


@keys.command()
@click.argument("name")
@_FORMAT
@_with_store
def show(store: KeyStore, name: str, form: str) -> None:
    """Show the key NAME, without its secret."""
    [row] = _rows(store, [store.find(name)])
    if form == "table":
        click.echo(listed([{"field": field.replace("_", " "), "value": row[field]} for field in row], form))
    else:
        click.echo(listed([row], form))


@keys.command()
@click.argument("name")
@_rights
@_with_store
def limit(store: KeyStore, name: str, **rights: Any) -> None:
    """Change what the key NAME may do; options that are not given stay as they are."""
    given = _given(rights)
    if not given:
        raise AccountsError("There is nothing to change: give at least one option.")
    store.change(name, given)


@keys.command()
@click.argument("name")
@_with_store
def revoke(store: KeyStore, name: str) -> None:
    """End the key NAME for good."""
    store.revoke(name)


@keys.command()
@click.argument("name")
@click.option(
    "--overlap", type=Span(), default="0s", show_default=True, help="How long the old secret stays valid, as 24h."
)
@_FORMAT
@_with_store
def rotate(store: KeyStore, name: str, overlap: timedelta, form: str) -> None:
    """Give the key NAME a new secret and print it: it is not shown again."""
    _show_secret(store, store.rotate(name, overlap), name, form)


def _given(rights: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, by field; a limit that is lifted is None."""
    return {field: None if value == _NONE else value for field, value in rights.items() if value is not None}


def _show_secret(store: KeyStore, secret: str, name: str, form: str) -> None:
    """The secret alone, for a script to take; with a format, everything about the key."""
    if form == "table":
        click.echo(secret)
        click.echo("This key is not shown again.", err=True)
    else:
        click.echo(listed([{"key": secret, **_rows(store, [store.find(name)])[0]}], form))


def _rows(store: KeyStore, keys_: Sequence[Key]) -> list[dict[str, Any]]:
    prefixes = store.prefixes([key.name for key in keys_])
    return [_row(key, prefixes.get(key.name, ())) for key in keys_]


def _row(key: Key, prefixes: Sequence[str]) -> dict[str, Any]:
    return {
        "name": key.name,
        "owner": key.owner,
        "status": key.status,
        "prefixes": [shown_prefix(prefix) for prefix in prefixes],
        "models": list(key.models or (_ALL,)),
        "endpoints": list(key.endpoints or (_ALL,)),
        "tiers": list(key.tiers or (_ALL,)),
        "created_at": key.created_at.isoformat(timespec="seconds"),
        **{name: _shown(getattr(key.limits, name)) for name in LIMIT_NAMES},
        "priority": key.priority,
        "expires_at": key.expires_at and key.expires_at.isoformat(timespec="seconds"),
    }


def _shown(limit: Any) -> Any:
    return usd_text(limit) if isinstance(limit, Decimal) else limit
