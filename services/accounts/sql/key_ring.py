"""The keys that a running server has in memory, read again within a second after they change."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from services.accounts.keys.key import SIGNING, is_past
from services.accounts.keys.secret import hash_of
from services.accounts.keys.token_signature import signer_of, unknown_token, verified
from services.accounts.sql.key_store import key_of
from services.accounts.sql.tables import KEYS, SECRETS
from services.errors import InvalidApiKey, PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sqlalchemy import Engine

    from services.accounts.keys.key import Key
    from services.accounts.keys.scoped_token import ScopedToken


@dataclass(frozen=True, slots=True)
class _Secret:
    hash: bytes
    expires_at: datetime | None
    key: Key
    lasts: bool  # neither it nor its key has an end


class KeyRing:
    """Finds the key of a secret, of those that were read last."""

    def __init__(self, engine: Engine) -> None:
        self.version = 0  # of the keys: how often they were read
        self._engine = engine
        self._no_hash = secrets.token_bytes(32)  # stands for an unknown key; random, so that nobody can sign with it
        self._by_prefix: Mapping[str, _Secret] = {}
        self._by_hash: Mapping[bytes, _Secret] = {}
        self._keys: Mapping[str, Key] = {}  # by name

    def find(self, secret: str) -> Key | None:
        """The key of a secret, None if there is none; InvalidApiKey if it has expired or is revoked.

        It is looked up by the hash of the whole secret: how long that takes says nothing about other secrets.
        """
        known = self._by_hash.get(hash_of(secret))
        if known is None:
            return None
        if is_past(known.expires_at):
            raise InvalidApiKey("The API key has expired.")
        return _valid(known.key)

    def lasts(self, secret: str) -> bool:
        """Whether a secret is that of a key that does not expire, so that it is valid until keys change."""
        known = self._by_hash.get(hash_of(secret))
        return known is not None and known.lasts

    def token(self, text: str) -> tuple[Key, ScopedToken]:
        """A token and the key that signed it; InvalidApiKey if either is not valid, PermissionDenied for such a key.

        A wrong signature takes as long whether or not there is a key with the prefix that the token names.
        """
        known = self._by_prefix.get(signer_of(text) or "")
        token = verified(text, self._no_hash if known is None else known.hash)
        if known is None:
            raise unknown_token()
        if is_past(known.expires_at):
            raise InvalidApiKey("The API key that signed the token has expired.")
        key = _valid(known.key, "API key that signed the token")
        if key.endpoints and SIGNING not in key.endpoints:
            raise PermissionDenied("The API key that signed the token may not sign tokens.")
        return key, token

    def named(self, name: str) -> Key:
        """The key with that name; InvalidApiKey if there is none, or it has expired or is revoked."""
        known = self._keys.get(name)
        if known is None:
            raise InvalidApiKey("The API key is not known here.")
        return _valid(known)

    def is_over(self, name: str) -> bool:
        """Whether the key with that name is revoked or has expired."""
        known = self._keys.get(name)
        return known is not None and known.status != "active"

    def owners(self) -> Collection[str]:
        """The owners of keys that are valid now."""
        return {key.owner for key in self._keys.values() if key.owner and key.status == "active"}

    def read(self) -> None:
        """Read all keys; SQLAlchemyError if that cannot be."""
        with self._engine.connect() as connection:
            # In this order: a key that is created meanwhile has no secret among these.
            rows = connection.execute(select(SECRETS)).mappings().all()
            keys = {row["name"]: key_of(row) for row in connection.execute(select(KEYS)).mappings()}
        found = {row["prefix"]: _secret(row["hash"], row["expires_at"], keys[row["key"]]) for row in rows}
        self._by_prefix, self._by_hash = found, {secret.hash: secret for secret in found.values()}
        self._keys = keys
        self.version += 1  # after the keys: a thread that reads the new version must find the new keys


def _secret(hash_: bytes, expires_at: datetime | None, key: Key) -> _Secret:
    lasts = expires_at is None and key.expires_at is None and key.revoked_at is None
    return _Secret(hash_, expires_at, key, lasts)


def _valid(key: Key, name: str = "API key") -> Key:
    """The key; InvalidApiKey if it has expired or is revoked."""
    if key.revoked_at is not None:
        raise InvalidApiKey(f"The {name} is revoked.")
    if is_past(key.expires_at):
        raise InvalidApiKey(f"The {name} has expired.")
    return key
