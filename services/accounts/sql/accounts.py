"""The accounts of a running server, with everything that needs a database behind them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from services.accounts.keys.scoped_token import MARK
from services.accounts.keys.secret import unknown_key
from services.accounts.keys.token_signature import signed, signer_of
from services.accounts.ledger.journal import Journal
from services.accounts.ledger.usage import UsageQuery
from services.accounts.sql.changes import Changes
from services.accounts.sql.database import open_database, or_away
from services.accounts.sql.key_ring import KeyRing
from services.accounts.sql.key_store import SqlKeyStore
from services.accounts.sql.ledger import Ledger
from services.accounts.sql.price_book import PriceBook
from services.accounts.sql.usage_report import usage_report

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from services.accounts.api import KeyStore
    from services.accounts.keys.key import Key
    from services.accounts.keys.scoped_token import ScopedToken
    from services.accounts.ledger.usage import UsageRow
    from services.accounts.prices.listed_price import ListedPrice


class SqlAccounts:
    """Implements `services.accounts.api.Accounts`. Owns the database's connections and threads until it is closed."""

    def __init__(self, place: str, journal: Path) -> None:
        """`place` is a file or a `postgresql://` URL, `journal` a file; SettingsError if they cannot be used."""
        self._engine = open_database(place)
        self.key_store: KeyStore = SqlKeyStore(self._engine)
        self._keys = KeyRing(self._engine)
        self._prices = PriceBook(self._engine)
        # Prices first: calls of a key that was created after a change of price are billed by the new price.
        self._changes = Changes(self._engine, (self._prices.read, self._keys.read))
        self.ledger = Ledger(self._engine, Journal(journal))

    @property
    def keys_version(self) -> int:
        """Changes with every change of the keys. What was found at another version may not be true any more."""
        return self._keys.version

    def lasts(self, secret: str) -> bool:
        """Whether a secret is that of a key that does not expire, so that it is valid until keys change."""
        return self._keys.lasts(secret)

    def key(self, secret: str) -> Key | None:
        """The key of a secret, None if there is none; InvalidApiKey if it has expired or is revoked."""
        return self._keys.find(secret)

    def key_named(self, name: str) -> Key:
        """The key with that name; InvalidApiKey if there is none, or it has expired or is revoked."""
        return self._keys.named(name)

    def is_over(self, name: str) -> bool:
        """Whether the key with that name is revoked or has expired."""
        return self._keys.is_over(name)

    def owners(self) -> Collection[str]:
        """The owners of keys that are valid now."""
        return self._keys.owners()

    def prices(self) -> Sequence[ListedPrice]:
        """All prices by the time from which they are valid; the same object until they change."""
        return self._prices.prices

    def token(self, text: str) -> tuple[Key, ScopedToken]:
        """A scoped token and the key that signed it; InvalidApiKey, or PermissionDenied if the key may sign none."""
        return self._keys.token(text)

    def is_token(self, text: str) -> bool:
        """Whether a credential is a scoped token, valid or not, and no key."""
        return text.startswith(MARK) or signer_of(text) is not None

    def sign(self, secret: str, token: ScopedToken) -> str:
        """The text of a token that the key of a secret signs; InvalidApiKey if that is not valid."""
        if self._keys.find(secret) is None:
            raise unknown_key()
        return signed(secret, token)

    @or_away
    def usage(self, query: UsageQuery) -> Sequence[UsageRow]:
        """Sums over the ledger. Waits for the database: AccountsError if it is away."""
        return usage_report(self._engine, query)

    def token_spent(self, key: str, token: str) -> Decimal:
        """USD of all calls of a token, by its id. Waits for the database: AccountsError if it is away."""
        return self.usage(UsageQuery(where={"key": key, "token": token}))[0].cost

    def spent(self) -> Mapping[str, tuple[Decimal, Decimal]]:
        """USD of this day and of this month by key. Waits for the database: AccountsError if it is away."""
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        of_day, of_month = (
            {row.groups["key"]: row.cost for row in self.usage(UsageQuery(("key",), since=since))}
            for since in (today, today.replace(day=1))
        )
        return {key: (of_day.get(key, Decimal(0)), cost) for key, cost in of_month.items()}

    def close(self) -> None:
        """End the threads and close the connections."""
        self._changes.close()
        self.ledger.close()
        self._engine.dispose()
