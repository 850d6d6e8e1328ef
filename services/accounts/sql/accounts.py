"""The accounts of a running server, with everything that needs a database behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.accounts.sql.database import open_database
from services.accounts.sql.key_ring import KeyRing

if TYPE_CHECKING:
    from services.accounts.key import Key


class SqlAccounts:
    """Implements `services.accounts.api.Accounts`. Owns the database's connections and threads until it is closed."""

    def __init__(self, place: str) -> None:
        """`place` is a file or a `postgresql://` URL; SettingsError if it cannot be used."""
        self._engine = open_database(place)
        self._keys = KeyRing(self._engine)

    def key(self, secret: str) -> Key:
        """The key of a secret; InvalidApiKey if there is none, or it has expired or is revoked."""
        return self._keys.find(secret)

    def close(self) -> None:
        """End the threads and close the connections."""
        self._keys.close()
        self._engine.dispose()
