"""The keys that a running server has in memory, read again within a second after they change."""

from __future__ import annotations

import hmac
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from services.accounts.key import is_past
from services.accounts.secret import hash_of, prefix_of
from services.accounts.sql.key_store import key_of
from services.accounts.sql.tables import KEYS, REVISION, SECRETS
from services.errors import InvalidApiKey

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Engine

    from services.accounts.key import Key

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.3
_NO_HASH: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class _Secret:
    hash: bytes
    expires_at: datetime | None
    key: Key


class KeyRing:
    """Finds the key of a secret. While the database is away, the keys that were read last stay as they are."""

    def __init__(self, engine: Engine) -> None:
        """Read all keys; SQLAlchemyError if that cannot be."""
        self._engine = engine
        self._stopped = threading.Event()
        self._away = False
        self._revision = self._read_revision()
        self._secrets = self._read()
        self._thread = threading.Thread(target=self._watch, name="keys", daemon=True)
        self._thread.start()

    def find(self, secret: str) -> Key:
        """The key of a secret; InvalidApiKey if there is none, or it has expired or is revoked.

        A wrong secret takes as long whether or not there is one with its prefix.
        """
        known = self._secrets.get(prefix_of(secret) or "")
        same = hmac.compare_digest(hash_of(secret), _NO_HASH if known is None else known.hash)
        if known is None or not same:
            raise InvalidApiKey("Incorrect API key provided: the key is not known here.")
        if is_past(known.expires_at):
            raise InvalidApiKey("The API key has expired.")
        return _valid(known.key)

    def named(self, name: str) -> Key:
        """The key with that name; InvalidApiKey if there is none, or it has expired or is revoked."""
        known = next((known.key for known in self._secrets.values() if known.key.name == name), None)
        if known is None:
            raise InvalidApiKey("The API key is not known here.")
        return _valid(known)

    def close(self) -> None:
        """Read no more changes."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            try:
                revision = self._read_revision()
                if revision != self._revision:
                    self._secrets = self._read()
                    self._revision = revision
                self._away = False
            except Exception as error:  # noqa: BLE001 - logged; without this thread no key would ever change again
                if not self._away:
                    log.warning("the accounts' database is away; keys stay as they are: %s", error)
                self._away = True

    def _read_revision(self) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(select(REVISION.c.number)).scalar_one())

    def _read(self) -> Mapping[str, _Secret]:
        with self._engine.connect() as connection:
            # In this order: a key that is created meanwhile has no secret among these.
            rows = connection.execute(select(SECRETS)).mappings().all()
            keys = {row["name"]: key_of(row) for row in connection.execute(select(KEYS)).mappings()}
        return {row["prefix"]: _Secret(row["hash"], row["expires_at"], keys[row["key"]]) for row in rows}


def _valid(key: Key) -> Key:
    """The key; InvalidApiKey if it has expired or is revoked."""
    if key.revoked_at is not None:
        raise InvalidApiKey("The API key is revoked.")
    if is_past(key.expires_at):
        raise InvalidApiKey("The API key has expired.")
    return key
