"""Opens the accounts of the settings: the one place that imports what only `CHASQUI_ACCOUNTS` needs."""

from __future__ import annotations

from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

from services.accounts.keys.key import AccountsError
from services.accounts.keys.limits import total_limits
from services.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from services.accounts.api import Accounts, KeyStore, PriceStore
    from services.accounts.keys.scoped_token import ScopedToken
    from services.accounts.ledger.usage import UsageQuery, UsageRow
    from services.accounts.limiting.api import LimitStore
    from services.accounts.limiting.limiter import Limiter
    from services.settings import Settings


def open_accounts(settings: Settings) -> Accounts | None:
    """The accounts of `CHASQUI_ACCOUNTS`, None without that setting; SettingsError if they cannot be opened."""
    if not settings.accounts:
        return None
    try:
        from services.accounts.sql.accounts import SqlAccounts
    except ImportError as error:
        raise _not_installed(error) from error
    return SqlAccounts(settings.accounts, _journal(settings))


def build_limiter(settings: Settings, accounts: Accounts | None) -> Limiter:
    """What holds calls to the limits; SettingsError if the total limits or their store are none."""
    # Not above: the command line imports this module, and a health check is a new process every time.
    from services.accounts.limiting.in_process import InProcess
    from services.accounts.limiting.limiter import Limiter

    store: LimitStore = InProcess()
    if settings.limits_store:
        try:
            from services.accounts.limiting.valkey import Valkey
        except ImportError as error:
            raise _not_installed(error) from error
        store = Valkey(settings.limits_store)
    return Limiter(
        store,
        total_limits(settings.total_limits),
        opens=settings.limits_fail_open,
        token_spent=_nothing_spent if accounts is None else accounts.token_spent,
        is_over=_none_is_over if accounts is None else accounts.is_over,
    )


def sign_token(secret: str, token: ScopedToken) -> str:
    """A scoped token that the key with this secret signs, which needs neither server nor database.

    AccountsError if the secret is that of no key.
    """
    try:
        from services.accounts.keys.token_signature import signed
    except ImportError as error:
        raise _not_installed(error) from error
    try:
        return signed(secret, token)
    except ValueError as error:
        raise AccountsError("The key is none that `chasqui keys create` prints.") from error


@contextmanager
def opened_key_store(settings: Settings) -> Iterator[KeyStore]:
    """The keys of `CHASQUI_ACCOUNTS`, for the operator; SettingsError if it is unset or cannot be opened."""
    with _opened(settings) as engine:
        from services.accounts.sql.key_store import SqlKeyStore

        yield SqlKeyStore(engine)


@contextmanager
def opened_price_store(settings: Settings) -> Iterator[PriceStore]:
    """The prices of `CHASQUI_ACCOUNTS`, for the operator; SettingsError as above."""
    with _opened(settings) as engine:
        from services.accounts.sql.price_book import SqlPriceStore

        yield SqlPriceStore(engine)


@contextmanager
def opened_ledger(settings: Settings) -> Iterator[Callable[[UsageQuery], Sequence[UsageRow]]]:
    """Sums over the ledger, for the operator; SettingsError as above."""
    with _opened(settings) as engine:
        from services.accounts.sql.usage_report import usage_report

        yield partial(usage_report, engine)


@contextmanager
def _opened(settings: Settings) -> Iterator[Any]:
    if not settings.accounts:
        raise SettingsError(
            "CHASQUI_ACCOUNTS is not set: it names the file or the database of keys, prices and ledger."
        )
    try:
        from services.accounts.sql.database import open_database
    except ImportError as error:
        raise _not_installed(error) from error
    engine = open_database(settings.accounts)
    try:
        yield engine
    finally:
        engine.dispose()


def _nothing_spent(_: str, __: str) -> Decimal:
    """Without accounts there are no tokens."""
    return Decimal(0)


def _none_is_over(_: str) -> bool:
    """Without accounts there are no keys."""
    return False


def _journal(settings: Settings) -> Path:
    """The path of the journal: as it is set, else beside the SQLite file, else among temporary files."""
    if settings.accounts_journal:
        return Path(settings.accounts_journal)
    if "://" in settings.accounts:
        return Path(gettempdir()) / "chasqui-ledger"
    return Path(f"{settings.accounts}-ledger")


def _not_installed(error: ImportError) -> SettingsError:
    return SettingsError(
        f"Accounts, tokens and CHASQUI_LIMITS_STORE need the extra 'accounts', as in chasqui[accounts]: {error}."
    )
