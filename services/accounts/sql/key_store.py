"""The keys in the database: what the operator's commands do with them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from services.accounts.keys.key import Key, KeyExists, KeyIsRevoked, NoSuchKey, check_key, is_past
from services.accounts.keys.limits import LIMIT_NAMES, Limits
from services.accounts.keys.secret import hash_of, new_secret, prefix_of
from services.accounts.sql.changes import raise_revision
from services.accounts.sql.database import or_away, writing
from services.accounts.sql.tables import KEYS, SECRETS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Engine, RowMapping


class SqlKeyStore:
    """Implements `services.accounts.api.KeyStore`. Every change raises the revision, by which servers notice it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @or_away
    def create(self, key: Key) -> str:
        """Store a new key and return its secret, which cannot be found again; WrongKey, KeyExists."""
        check_key(key)
        secret = new_secret()
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(KEYS).values(**_columns(key)))
                _add_secret(connection, key.name, secret)
                raise_revision(connection)
        except IntegrityError:
            raise KeyExists(f"There is a key {key.name!r} already; revoked keys keep their names.") from None
        return secret

    @or_away
    def all(self, after: str = "", limit: int | None = None) -> list[Key]:
        """The keys by name, those after a name, and no more than a limit."""
        wanted = select(KEYS).where(KEYS.c.name > after).order_by(KEYS.c.name).limit(limit)
        with self._engine.connect() as connection:
            return [key_of(row) for row in connection.execute(wanted).mappings()]

    @or_away
    def find(self, name: str) -> Key:
        """The key with that name; NoSuchKey."""
        with self._engine.connect() as connection:
            return _find(connection, name)

    @or_away
    def prefixes(self, names: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """The prefixes of the secrets that are valid now, by the names of these keys, the newest first."""
        wanted = select(SECRETS).where(SECRETS.c.key.in_(names)).order_by(SECRETS.c.created_at.desc())
        found = defaultdict[str, list[str]](list)
        with self._engine.connect() as connection:
            for row in connection.execute(wanted).mappings():
                if not is_past(row["expires_at"]):
                    found[row["key"]].append(row["prefix"])
        return found

    @or_away
    def change(self, name: str, changes: dict[str, Any]) -> Key:
        """Set fields of a key or of its limits, and return it; NoSuchKey, KeyIsRevoked, WrongKey."""
        with writing(self._engine) as connection:
            key = _unrevoked(connection, name)
            limits = {field: value for field, value in changes.items() if field in LIMIT_NAMES}
            others = {field: value for field, value in changes.items() if field not in limits}
            key = replace(key, limits=replace(key.limits, **limits), **others)
            check_key(key)
            connection.execute(update(KEYS).where(KEYS.c.name == name).values(**_columns(key)))
            raise_revision(connection)
        return key

    def revoke(self, name: str) -> Key:
        """End a key for good; NoSuchKey, KeyIsRevoked."""
        return self.change(name, {"revoked_at": datetime.now(UTC)})

    @or_away
    def rotate(self, name: str, overlap: timedelta) -> str:
        """Give a key a new secret and return it; those that it had stay valid for `overlap`.

        NoSuchKey, KeyIsRevoked.
        """
        secret = new_secret()
        end = datetime.now(UTC) + overlap
        with writing(self._engine) as connection:
            _unrevoked(connection, name)
            own = SECRETS.c.key == name
            connection.execute(delete(SECRETS).where(own, SECRETS.c.expires_at <= datetime.now(UTC)))
            later = own & (SECRETS.c.expires_at.is_(None) | (SECRETS.c.expires_at > end))
            connection.execute(update(SECRETS).where(later).values(expires_at=end))
            _add_secret(connection, name, secret)
            raise_revision(connection)
        return secret


def key_of(row: RowMapping) -> Key:
    """The key in a row of the table."""
    fields = {name: row[name] for name in Key.__dataclass_fields__ if name in row}
    names = {name: tuple(row[name] or ()) for name in ("models", "endpoints", "tiers")}
    return Key(**{**fields, **names}, limits=Limits(**{name: row[name] for name in LIMIT_NAMES}))


def _columns(key: Key) -> dict[str, Any]:
    values = {name: getattr(key, name) for name in Key.__dataclass_fields__ if name != "limits"}
    names = {"models": list(key.models), "endpoints": list(key.endpoints), "tiers": list(key.tiers)}
    return {**values, **names, **{name: getattr(key.limits, name) for name in LIMIT_NAMES}}


def _find(connection: Connection, name: str) -> Key:
    row = connection.execute(select(KEYS).where(KEYS.c.name == name)).mappings().one_or_none()
    if row is None:
        raise NoSuchKey(f"There is no key {name!r}.")
    return key_of(row)


def _unrevoked(connection: Connection, name: str) -> Key:
    key = _find(connection, name)
    if key.revoked_at is not None:
        raise KeyIsRevoked(f"The key {name!r} is revoked.")
    return key


def _add_secret(connection: Connection, name: str, secret: str) -> None:
    values = {"prefix": prefix_of(secret), "key": name, "hash": hash_of(secret), "created_at": datetime.now(UTC)}
    connection.execute(insert(SECRETS).values(**values))
