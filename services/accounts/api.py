"""The interfaces of the accounts, which everything else uses; those who implement them need a database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta
    from decimal import Decimal

    from services.accounts.keys.key import Key
    from services.accounts.keys.scoped_token import ScopedToken
    from services.accounts.ledger.entry import LedgerEntry
    from services.accounts.ledger.usage import UsageQuery, UsageRow
    from services.accounts.prices.listed_price import ListedPrice
    from services.accounts.prices.price import Price


@dataclass(frozen=True, slots=True)
class LedgerState:
    """Rows of the ledger: written by this server, gathered for the next write, in the journal, and lost from it."""

    written: int
    waiting: int
    journalled: int
    dropped: int


class Accounts(Protocol):
    """The accounts of a running server. Only `usage`, `spent`, `token_spent` and `close` wait for the database."""

    @property
    def key_store(self) -> KeyStore:
        """The keys for the operator."""

    @property
    def ledger(self) -> CallLedger:
        """Takes the rows of calls."""

    @property
    def keys_version(self) -> int:
        """Changes with every change of the keys. What was found at another version may not be true any more."""

    def lasts(self, secret: str) -> bool:
        """Whether a secret is that of a key that does not expire, so that it is valid until keys change."""

    def key(self, secret: str) -> Key | None:
        """The key of a secret, None if there is none; InvalidApiKey if it has expired or is revoked."""

    def key_named(self, name: str) -> Key:
        """The key with that name; InvalidApiKey if there is none, or it has expired or is revoked."""

    def is_over(self, name: str) -> bool:
        """Whether the key with that name is revoked or has expired."""

    def owners(self) -> Collection[str]:
        """The owners of keys that are valid now."""

    def prices(self) -> Sequence[ListedPrice]:
        """All prices by the time from which they are valid; the same object until they change."""

    def token(self, text: str) -> tuple[Key, ScopedToken]:
        """A scoped token and the key that signed it; InvalidApiKey, or PermissionDenied if the key may sign none."""

    def is_token(self, text: str) -> bool:
        """Whether a credential is a scoped token, valid or not, and no key."""

    def sign(self, secret: str, token: ScopedToken) -> str:
        """The text of a token that the key of a secret signs; InvalidApiKey if that is not valid."""

    def usage(self, query: UsageQuery) -> Sequence[UsageRow]:
        """Sums over the ledger. Waits for the database: AccountsError if it is away."""

    def token_spent(self, key: str, token: str) -> Decimal:
        """USD of all calls of a token, by its id. Waits for the database: AccountsError if it is away."""

    def spent(self) -> Mapping[str, tuple[Decimal, Decimal]]:
        """USD of this day and of this month by key. Waits for the database: AccountsError if it is away."""

    def close(self) -> None:
        """Write what is left of the ledger, end the threads and close the connections."""


class CallLedger(Protocol):
    """The ledger of a running server. Nothing waits for the database."""

    def begin(self, entry: LedgerEntry) -> None:
        """Note the row that a call shall have if this server dies before the call has ended."""

    def forget(self, call_id: str) -> None:
        """A call that has begun shall have no row."""

    def record(self, entry: LedgerEntry) -> None:
        """Write a row, within a second; of a call's rows, the first one counts."""

    def state(self) -> LedgerState:
        """How far the ledger is."""


class KeyStore(Protocol):
    """The keys as the operator manages them; running servers take every change.

    Every method waits for the database. AccountsError, of one of the kinds in `key.py`, says what cannot be done.
    """

    def create(self, key: Key) -> str:
        """Store a new key and return its secret, which cannot be found again."""

    def all(self, after: str = "", limit: int | None = None) -> list[Key]:
        """The keys by name, those after a name, and no more than a limit."""

    def find(self, name: str) -> Key:
        """The key with that name."""

    def prefixes(self, names: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """The prefixes of the secrets that are valid now, by the names of these keys, the newest first."""

    def change(self, name: str, changes: dict[str, Any]) -> Key:
        """Set fields of a key that is not revoked, or of its limits, and return it."""

    def revoke(self, name: str) -> Key:
        """End a key for good."""

    def rotate(self, name: str, overlap: timedelta) -> str:
        """Give a key a new secret and return it; those that it had stay valid for `overlap`."""


class PriceStore(Protocol):
    """The prices as the operator manages them; running servers take every change.

    AccountsError says what cannot be done.
    """

    def add(self, price: Price, model: str, valid_from: datetime | None) -> ListedPrice:
        """Store a price, which gets its version here, and return it; without a time it is valid at once."""

    def all(self) -> list[ListedPrice]:
        """All prices, by the time from which they are valid."""

    def withdraw(self, version: str) -> ListedPrice:
        """End a price before it is valid."""
