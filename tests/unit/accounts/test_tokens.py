"""Scoped tokens: who can sign them, what makes one invalid, and that none gives more than its key."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import jwt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from services.accounts.keys import token_signature
from services.accounts.keys.caller import Caller
from services.accounts.keys.key import ENDPOINTS, INFERENCE, Key
from services.accounts.keys.scoped_token import MAX_TOKEN_BYTES, ScopedToken, ScopeError
from services.accounts.keys.secret import hash_of, new_secret, prefix_of
from services.accounts.keys.token_signature import MOST_REMEMBERED, signed, signer_of, verified
from services.accounts.sql.key_ring import KeyRing
from services.accounts.sql.key_store import SqlKeyStore
from services.errors import ChasquiError, InvalidApiKey, PermissionDenied
from tests.support.wording import is_one_sentence

SECRET = f"chasqui_{'p' * 8}_{'s' * 56}"
SOON = datetime(2100, 1, 1, tzinfo=UTC)


def an_hour(**fields: Any) -> ScopedToken:
    return ScopedToken("t", datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1), **fields)


def jwt_of(secret: str | bytes = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """What another program signs with a key; a claim that is None is left out."""
    # Long after the last test of the longest run: some texts are made when this file is imported.
    usual = {"exp": int(datetime.now(UTC).timestamp()) + 100 * 86_400, **claims}
    given = {name: value for name, value in usual.items() if value is not None}
    return jwt.encode(given, secret, algorithm, {"kid": prefix_of(SECRET)})


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


@pytest.fixture
def store(database: Engine) -> SqlKeyStore:
    return SqlKeyStore(database)


@pytest.fixture
def rings(database: Engine) -> Callable[[], KeyRing]:
    """Reads the keys, as servers do that start or notice a change."""

    def ring() -> KeyRing:
        opened = KeyRing(database)
        opened.read()
        return opened

    return ring


def test_what_is_signed_with_the_key_itself_is_what_our_own_command_signs() -> None:
    token = an_hour(models=("m",), spending_limit=Decimal("0.25"))
    own = signed(SECRET, token)
    assert own.startswith("jwt:eyJ")
    assert jwt_of(exp=int(token.expires_at.timestamp()), jti="t", models=["m"], spending_limit=0.25) == own[4:]
    assert verified(own, hash_of(SECRET)) == verified(own[4:], hash_of(SECRET)) == token
    assert signer_of(own) == prefix_of(SECRET)


@given(
    models=st.lists(st.text(min_size=1, max_size=20), max_size=4),
    cents=st.none() | st.integers(0, 10**12),
    seconds=st.integers(60, 86_400 * 364),
    token_id=st.from_regex(r"[A-Za-z0-9._@:-]{1,64}", fullmatch=True),
)
@settings(max_examples=50, deadline=None)
def test_a_token_says_what_was_signed(models: list[str], cents: int | None, seconds: int, token_id: str) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
    limit = None if cents is None else Decimal(cents).scaleb(-6)
    token = ScopedToken(token_id, end, tuple(models), limit)
    assert verified(signed(SECRET, token), hash_of(SECRET)) == token


def test_without_an_id_a_token_is_known_by_what_is_signed_however_its_signature_is_written() -> None:
    text = jwt_of(spending_limit=1)
    same = text[:-1] + next(
        letter
        for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        if letter != text[-1]
        and base64.urlsafe_b64decode(text.rpartition(".")[2][:-1] + letter + "=")
        == base64.urlsafe_b64decode(text.rpartition(".")[2] + "=")
    )
    known = {verified(form, hash_of(SECRET)).id for form in (text, f"jwt:{text}")}
    with suppress(InvalidApiKey):  # of newer releases of PyJWT, which take one way to write it only
        known.add(verified(same, hash_of(SECRET)).id)
    assert len(known) == 1
    assert verified(jwt_of(spending_limit=2), hash_of(SECRET)).id not in known


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (jwt_of(new_secret()), "not signed by a key"),
        (jwt_of("x" * 80), "not signed by a key"),
        (jwt_of(hash_of(SECRET).hex()), "not signed by a key"),
        (jwt_of()[:-4] + "AAAA", "not signed by a key"),
        (jwt_of(algorithm="HS512"), "alg"),
        (f"{encoded({'alg': 'none', 'kid': prefix_of(SECRET)})}.{encoded({'exp': 4e9})}.", "alg"),
        (f"{encoded({'alg': 'RS256', 'kid': prefix_of(SECRET)})}.{encoded({'exp': 4e9})}.AAAA", "alg"),
        (jwt_of(exp=1), "has expired"),
        (jwt_of(exp=None), "exp"),
        (jwt_of(exp="tomorrow"), "exp"),
        (jwt_of(exp=float("inf")), "exp"),
        (jwt_of(exp=True), "expired"),
        (jwt_of(exp="4000000000"), "exp"),
        (jwt_of(exp=10**30), "exp"),
        (jwt_of(exp=int(SOON.timestamp())), "within 365 days"),
        (jwt_of(nbf=4_000_000_000), "not valid yet"),
        (jwt_of(model="m"), "'model'"),
        (jwt_of(aud="chat"), "'aud'"),
        (jwt_of(models="m"), "models"),
        (jwt_of(models=[]), "models"),
        (jwt_of(models=["m", 1]), "models"),
        (jwt_of(models=[""]), "empty"),
        (jwt_of(spending_limit="much"), "'much'"),
        (jwt_of(spending_limit=-1), "'-1'"),
        (jwt_of(spending_limit=True), "number"),
        (jwt_of(spending_limit=float("nan")), "'nan'"),
        (jwt_of(spending_limit=0.0000001), "decimals"),
        (jwt_of(spending_limit=[1]), "number"),
        (jwt_of(jti=""), "id"),
        (jwt_of(jti="a b"), "id"),
        (jwt_of(jti="x" * 65), "id"),
        (jwt_of(sub="x" * MAX_TOKEN_BYTES), "bytes"),
    ],
    ids=lambda value: value if len(value) < 30 else "token",  # which depends on the time
)
def test_a_token_that_is_not_valid_is_refused_with_the_reason(text: str, named: str) -> None:
    with pytest.raises(InvalidApiKey) as raised:
        verified(text, hash_of(SECRET))
    assert named in str(raised.value)


def test_the_memory_of_tokens_is_bounded() -> None:
    texts = [jwt_of(jti=f"t{number}") for number in range(MOST_REMEMBERED + 10)]
    for _ in range(2):
        assert len({verified(text, hash_of(SECRET)).id for text in texts}) == len(texts)
    assert token_signature._verified.cache_info().currsize == MOST_REMEMBERED


@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda data: f"jwt:{data.hex()}"))
@example("jwt:..")
@example(f"{'[' * 2000}.e30.AAAA")
@example(f"{base64.urlsafe_b64encode(b'[' * 3000).decode()}.e30.AAAA")
@example(f"{encoded({'alg': 'HS256', 'kid': 'aaaaaaaa'})}.{base64.urlsafe_b64encode(b'[' * 2000).decode()}.AAAA")
@example(f"{encoded([1])}.e30.AAAA")
@example(f"{encoded({'alg': 'HS256', 'kid': 7})}.e30.AAAA")
@example(f"{encoded({'alg': 'HS256', 'kid': 'a' * 8, 'b64': False, 'crit': ['b64']})}..AAAA")
@example("\ud800.a.b")
@settings(max_examples=100, deadline=None)
def test_no_text_fails_otherwise_than_as_a_token_that_is_not_known(text: str) -> None:
    assert signer_of(text) is None or len(signer_of(text) or "") == 8
    with pytest.raises(InvalidApiKey):
        verified(text, hash_of(SECRET))


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"id": ""}, "id"), ({"expires_at": SOON}, "expires_at"), ({"models": ("m", "")}, "models")],
)
def test_a_scope_that_cannot_be_is_one_sentence_about_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ScopeError) as raised:
        replace(an_hour(), **changes)
    assert raised.value.field == field
    assert is_one_sentence(str(raised.value).replace(" '.',", ""))


def test_a_token_is_as_valid_as_the_key_that_signed_it(store: SqlKeyStore, rings: Callable[[], KeyRing]) -> None:
    first = store.create(Key("ana", "", datetime.now(UTC)))
    scope = an_hour()
    token = signed(first, scope)
    key, found = rings().token(token)
    assert (key.name, found) == ("ana", scope)
    second = store.rotate("ana", timedelta(hours=1))
    assert rings().token(token)[0].name == rings().token(signed(second, an_hour()))[0].name == "ana"
    store.rotate("ana", timedelta(0))
    with pytest.raises(InvalidApiKey, match="The API key that signed the token has expired"):
        rings().token(token)
    third = signed(store.rotate("ana", timedelta(0)), an_hour())
    store.change("ana", {"expires_at": datetime.now(UTC) - timedelta(seconds=1)})
    with pytest.raises(InvalidApiKey, match="The API key that signed the token has expired"):
        rings().token(third)
    store.change("ana", {"expires_at": None})
    store.revoke("ana")
    with pytest.raises(InvalidApiKey, match="The API key that signed the token is revoked"):
        rings().token(third)
    with pytest.raises(InvalidApiKey, match="not signed by a key that is known"):
        rings().token(signed(new_secret(), an_hour()))


def test_a_key_that_may_not_use_the_endpoint_has_no_valid_tokens(
    store: SqlKeyStore, rings: Callable[[], KeyRing]
) -> None:
    secret = store.create(Key("ana", "", datetime.now(UTC), endpoints=INFERENCE))
    with pytest.raises(PermissionDenied, match="may not sign tokens"):
        rings().token(signed(secret, an_hour()))
    store.change("ana", {"endpoints": ENDPOINTS})
    assert rings().token(signed(secret, an_hour()))[0].name == "ana"


NAMES = st.sampled_from(["a", "b", "c", "d"])
SOME = st.lists(NAMES, max_size=3).map(tuple)
PATHS = [*ENDPOINTS, "models", "models/{id}", "usage", "files", "files/{id}", "batches", "responses/{id}", ""]


def allows(check: Any, *arguments: object) -> bool:
    try:
        check(*arguments)
    except ChasquiError:
        return False
    return True


@given(
    key_models=SOME,
    token_models=SOME,
    key_endpoints=st.lists(st.sampled_from(ENDPOINTS), max_size=4).map(tuple),
    requested=NAMES,
    served=NAMES,
)
@settings(deadline=None)
def test_a_token_never_allows_what_its_key_does_not(
    key_models: tuple[str, ...],
    token_models: tuple[str, ...],
    key_endpoints: tuple[str, ...],
    requested: str,
    served: str,
) -> None:
    key = Key("ana", "", datetime.now(UTC), models=key_models, endpoints=key_endpoints)
    own, scoped = Caller("ana", key), Caller("ana", key, token=an_hour(models=token_models))
    assert allows(scoped.check_model, requested, served) <= allows(own.check_model, requested, served)
    if token_models and not {requested, served} & set(token_models):
        assert not allows(scoped.check_model, requested, served)
    for path in PATHS:
        assert allows(scoped.check_endpoint, path) <= allows(own.check_endpoint, path)
    for stored in ("files", "batches", "scoped-jwt", "chasqui.v1.BatchService/ListBatches"):
        assert not allows(scoped.check_endpoint, stored)


def test_a_token_takes_turns_as_its_key_but_has_prompts_of_its_own() -> None:
    key = Key("ana", "", datetime.now(UTC), priority="high")
    own = Caller("ana", key)
    one, other = (Caller("ana", key, token=replace(an_hour(), id=name)) for name in ("t", "u"))
    assert (one.account, one.weight) == (own.account, own.weight)
    assert len({own.identity, one.identity, other.identity}) == 3
    assert len(one.identity) <= 64
