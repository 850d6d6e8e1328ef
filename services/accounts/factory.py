"""Opens the accounts of the settings: the one place that imports what only `CHASQUI_ACCOUNTS` needs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from services.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.accounts.api import Accounts, KeyStore
    from services.settings import Settings


def open_accounts(settings: Settings) -> Accounts | None:
    """The accounts of `CHASQUI_ACCOUNTS`, None without that setting; SettingsError if they cannot be opened."""
    if not settings.accounts:
        return None
    try:
        from services.accounts.sql.accounts import SqlAccounts
    except ImportError as error:
        raise _not_installed(error) from error
    return SqlAccounts(settings.accounts)


@contextmanager
def opened_key_store(settings: Settings) -> Iterator[KeyStore]:
    """The keys of `CHASQUI_ACCOUNTS`, for the operator; SettingsError if it is unset or cannot be opened."""
    if not settings.accounts:
        raise SettingsError("CHASQUI_ACCOUNTS is not set: it names the file or the database that holds the keys.")
    try:
        from services.accounts.sql.database import open_database
        from services.accounts.sql.key_store import SqlKeyStore
    except ImportError as error:
        raise _not_installed(error) from error
    engine = open_database(settings.accounts)
    try:
        yield SqlKeyStore(engine)
    finally:
        engine.dispose()


def _not_installed(error: ImportError) -> SettingsError:
    return SettingsError(f"CHASQUI_ACCOUNTS needs the extra 'accounts' (pip install 'chasqui[accounts]'): {error}.")
