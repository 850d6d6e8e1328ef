"""Keys: made, found, changed, rotated and revoked, and taken up by a running server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from services.accounts.keys.caller import Caller
from services.accounts.keys.key import AccountsError, Key
from services.accounts.keys.secret import new_secret
from services.accounts.sql import changes as changes_thread
from services.accounts.sql.accounts import SqlAccounts
from services.accounts.sql.changes import Changes
from services.accounts.sql.database import open_database
from services.accounts.sql.key_ring import KeyRing
from services.accounts.sql.key_store import SqlKeyStore
from services.chat.transport.authentication import Authentication
from services.errors import InvalidApiKey, PermissionDenied


@pytest.fixture
def store(database: Engine) -> SqlKeyStore:
    return SqlKeyStore(database)


@pytest.fixture
def ring(database: Engine) -> Iterator[KeyRing]:
    opened = KeyRing(database)
    changes = Changes(database, [opened.read])
    yield opened
    changes.close()


def new_key(name: str = "ana", **fields: object) -> Key:
    return Key(name, "team", datetime.now(UTC), **fields)  # type: ignore[arg-type]


def accepts(ring: KeyRing, secret: str) -> bool:
    try:
        return ring.find(secret) is not None
    except InvalidApiKey:
        return False


def becomes(ring: KeyRing, secret: str, accepted: bool) -> bool:
    """Whether the ring takes or refuses the secret, now or within the seconds that a slow machine may need."""
    end = time.monotonic() + 60
    while accepts(ring, secret) is not accepted and time.monotonic() < end:
        time.sleep(0.02)
    return accepts(ring, secret) is accepted


def test_a_created_key_is_found_by_its_secret_alone(store: SqlKeyStore, database: Engine) -> None:
    secret = store.create(new_key(models=("m",), endpoints=("tokenize",)))
    ring = KeyRing(database)
    ring.read()
    found = ring.find(secret)
    assert found == store.find("ana")
    assert found.models == ("m",)
    prefix = secret.split("_")[1]
    for wrong in (new_secret(), f"chasqui_{prefix}_{'a' * 56}", secret[:-1], secret + "a", "ana", ""):
        assert not accepts(ring, wrong)


def test_no_secret_is_in_the_file(tmp_path: Path) -> None:
    engine = open_database(str(tmp_path / "accounts.db"))
    secret = SqlKeyStore(engine).create(new_key())
    engine.dispose()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret.split("_")[1].encode() in written
    assert secret.split("_")[2].encode() not in written


def test_running_servers_take_keys_changes_and_revocations(store: SqlKeyStore, ring: KeyRing) -> None:
    secret = store.create(new_key())
    assert becomes(ring, secret, accepted=True)
    store.change("ana", {"owner": "other"})
    store.revoke("ana")
    assert becomes(ring, secret, accepted=False)
    with pytest.raises(InvalidApiKey, match="revoked"):
        ring.find(secret)


def test_a_key_expires_without_a_change(store: SqlKeyStore, ring: KeyRing) -> None:
    expired = store.create(new_key("ben", expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    # After the other: when the ring has this one, it has both.
    lasting = store.create(new_key(expires_at=datetime.now(UTC) + timedelta(hours=1)))
    assert becomes(ring, lasting, accepted=True)
    with pytest.raises(InvalidApiKey, match="expired"):
        ring.find(expired)
    assert store.find("ben").status == "expired"


def test_after_a_rotation_both_secrets_are_valid_for_the_overlap_only(store: SqlKeyStore, ring: KeyRing) -> None:
    first = store.create(new_key())
    second = store.rotate("ana", timedelta(hours=1))
    assert becomes(ring, second, accepted=True)
    assert accepts(ring, first)
    assert store.prefixes(["ana"])["ana"] == [second.split("_")[1], first.split("_")[1]]
    third = store.rotate("ana", timedelta(0))
    assert becomes(ring, third, accepted=True)
    assert not accepts(ring, first)
    assert not accepts(ring, second)


def test_a_server_takes_the_changes_of_a_key_that_it_has_let_in(place: str, tmp_path: Path) -> None:
    accounts = SqlAccounts(place, tmp_path / "journal")
    authentication = Authentication("", accounts)
    secret = accounts.key_store.create(new_key())

    def priority() -> str | None:
        """The priority of the key that the server finds; None if it refuses the secret."""
        try:
            key = authentication.caller({"authorization": f"Bearer {secret}"}).key
        except InvalidApiKey:
            return None
        return None if key is None else key.priority

    def comes(wanted: str | None) -> bool:
        end = time.monotonic() + 60
        while priority() != wanted and time.monotonic() < end:
            time.sleep(0.02)
        return priority() == wanted

    assert comes("normal")
    accounts.key_store.change("ana", {"priority": "high"})
    assert comes("high")
    accounts.key_store.revoke("ana")
    assert comes(None)
    accounts.close()


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "a" * 65, "ñ"])
def test_a_name_that_no_command_could_take_is_refused(store: SqlKeyStore, name: str) -> None:
    with pytest.raises(AccountsError, match="no name for a key"):
        store.create(new_key(name))


def test_what_cannot_be_done_to_a_key_is_refused(store: SqlKeyStore) -> None:
    store.create(new_key())
    with pytest.raises(AccountsError, match="already"):
        store.create(new_key())
    with pytest.raises(AccountsError, match="no key 'ben'"):
        store.find("ben")
    store.revoke("ana")
    for change in (lambda: store.revoke("ana"), lambda: store.rotate("ana", timedelta(0))):
        with pytest.raises(AccountsError, match="is revoked"):
            change()


def test_a_key_that_is_created_while_all_are_read_is_found_afterwards(store: SqlKeyStore, database: Engine) -> None:
    created: list[str] = []

    def create_in_between(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        # Between the two queries; only on PostgreSQL does the second one see it.
        if not created and ("FROM keys" in statement or "FROM secrets" in statement):
            created.append("")
            created[0] = store.create(new_key("bob"))

    store.create(new_key())
    event.listen(database, "after_cursor_execute", create_in_between)
    ring = KeyRing(database)
    changes = Changes(database, [ring.read])
    assert becomes(ring, created[0], True)
    changes.close()


def test_while_the_database_is_away_keys_stay_as_they_are(
    store: SqlKeyStore, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = store.create(new_key())
    assert becomes(ring, secret, accepted=True)
    with monkeypatch.context() as away:
        away.setattr(changes_thread, "_STATEMENT", "SELECT number FROM nowhere")
        store.revoke("ana")
        later = time.monotonic() + 0.7
        while time.monotonic() < later:
            assert accepts(ring, secret)
            time.sleep(0.05)
    assert becomes(ring, secret, accepted=False)


@pytest.mark.parametrize(("endpoint", "allowed"), [("tokenize", True), ("completions", False), ("models", True)])
def test_a_key_is_held_to_its_endpoints(endpoint: str, allowed: bool) -> None:
    caller = Caller("ana", new_key(endpoints=("tokenize",)))
    if allowed:
        caller.check_endpoint(endpoint)
    else:
        with pytest.raises(PermissionDenied, match=endpoint):
            caller.check_endpoint(endpoint)
    Caller("ana", new_key()).check_endpoint(endpoint)


def test_a_key_is_held_to_its_models_by_name_or_alias() -> None:
    caller = Caller("ana", new_key(models=("alias", "other")))
    caller.check_model("alias", "served")
    caller.check_model("served", "other")
    with pytest.raises(PermissionDenied) as raised:
        caller.check_model("served", "served")
    assert raised.value.param == "model"
    Caller("ana", new_key()).check_model("served", "served")
