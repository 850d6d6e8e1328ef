"""Who is let in: keys of the settings, or hashes in a file that may change while the server runs."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

import chasqui.v1
from services.accounts.keys.key import Key
from services.accounts.keys.scoped_token import ScopedToken
from services.accounts.keys.secret import new_secret
from services.chat.transport.authentication import Authentication
from services.chat.transport.interceptors import AuthenticationInterceptor
from services.chat.transport.known_callers import MOST_CALLERS
from services.errors import InvalidApiKey, PermissionDenied
from services.settings import SettingsError
from tests.support.wording import is_one_sentence

KEY = new_secret()
# Later than any clock, so that every write of a test changes a file's time.
_times = count(2_000_000_000)


def hashed(key: str) -> str:
    """A line of a key file."""
    return hashlib.sha256(key.encode()).hexdigest()


def _write(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines))
    now = next(_times)
    os.utime(path, (now, now))
    return path


def shown(authorization: str | None, address: str = "") -> dict[str, str]:
    """The metadata of a call."""
    given = {} if authorization is None else {"authorization": authorization}
    return {**given, "x-client-address": address}


def _lets_in(authentication: Authentication, key: str) -> bool:
    try:
        authentication.caller(shown(f"Bearer {key}"))
    except InvalidApiKey:
        return False
    return True


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A key file that holds `first`."""
    return _write(tmp_path / "keys", hashed("first"))


@pytest.mark.parametrize("authorization", [None, "", "Bearer whatever", "Basic eA=="])
def test_without_keys_everyone_is_let_in(authorization: str | None) -> None:
    authentication = Authentication("")
    authentication.caller(shown(authorization))
    assert not authentication.required


@pytest.mark.parametrize("api_keys", ["one", "one,two", " two , one ", "two,,one,"])
def test_each_of_the_keys_opens(api_keys: str) -> None:
    authentication = Authentication(api_keys)
    assert authentication.required
    assert _lets_in(authentication, "one")
    assert not _lets_in(authentication, "three")


@pytest.mark.parametrize("api_keys", [",", " ", ", ,"])
def test_a_setting_without_any_key_in_it_does_not_open_the_server(api_keys: str) -> None:
    try:
        authentication = Authentication(api_keys)
    except SettingsError:
        return
    assert authentication.required


@pytest.mark.parametrize("authorization", ["Bearer key", "bearer key", "BEARER key", "bEaReR key", "Bearer   key "])
def test_the_schemes_case_and_the_spaces_around_the_key_do_not_matter(authorization: str) -> None:
    Authentication("key").caller(shown(authorization))


@pytest.mark.parametrize(
    "authorization",
    [None, "", " ", "Bearer", "Bearer ", "Bearer    ", "key", "Basic key", "Bearerkey", "Token key"],
)
def test_a_call_without_a_bearer_key_is_told_how_to_send_one(authorization: str | None) -> None:
    with pytest.raises(InvalidApiKey, match="Authorization: Bearer"):
        Authentication("key").caller(shown(authorization))


@pytest.mark.parametrize("key", ["Key", "ke", "key2", "key key", "k\u00e9y", hashed("key"), "x" * 100_000])
def test_a_wrong_key_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(InvalidApiKey) as caught:
        Authentication("key").caller(shown(f"Bearer {key}"))
    assert key not in caught.value.message.split()


def test_a_key_may_hold_any_characters() -> None:
    assert _lets_in(Authentication("llave-ñ-🔑"), "llave-ñ-🔑")


def test_a_file_opens_for_the_keys_whose_hashes_it_holds(tmp_path: Path) -> None:
    path = _write(tmp_path / "keys", "# first", hashed("first"), "", f"  {hashed('second').upper()}  ")
    authentication = Authentication(f"file:{path}")
    assert [_lets_in(authentication, key) for key in ("first", "second", "third")] == [True, True, False]


def test_a_comment_may_be_indented(tmp_path: Path) -> None:
    path = _write(tmp_path / "keys", "  # first", hashed("first"))
    assert _lets_in(Authentication(f"file:{path}"), "first")


@pytest.mark.parametrize("end", ["  -", " *keys.txt", "\tof the batch job", " # of the batch job"])
def test_what_sha256sum_prints_after_a_hash_is_not_read(tmp_path: Path, end: str) -> None:
    authentication = Authentication(f"file:{_write(tmp_path / 'keys', hashed('first') + end)}")
    assert _lets_in(authentication, "first")


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    authentication = Authentication(f"file:{_write(tmp_path / 'keys', chr(0xFEFF) + hashed('first'))}")
    assert _lets_in(authentication, "first")


def test_a_file_that_is_emptied_keeps_its_keys_and_the_log_names_it_once(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authentication = Authentication(f"file:{file}")
    _write(file)
    for _ in range(3):
        assert _lets_in(authentication, "first")
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("services.chat.transport")]
    assert logged == [f"the API keys that were read before stay valid: {file} is empty."]
    _write(file, hashed("second"))
    assert _lets_in(authentication, "second")
    assert not _lets_in(authentication, "first")


def test_the_hash_itself_is_no_key(file: Path) -> None:
    assert not _lets_in(Authentication(f"file:{file}"), hashed("first"))


def test_an_empty_file_lets_nobody_in(tmp_path: Path) -> None:
    authentication = Authentication(f"file:{_write(tmp_path / 'keys')}")
    assert authentication.required
    assert not _lets_in(authentication, "first")


def test_a_changed_file_is_read_again(file: Path) -> None:
    authentication = Authentication(f"file:{file}")
    _write(file, hashed("second"))
    assert [_lets_in(authentication, key) for key in ("first", "second")] == [False, True]


def test_a_replaced_file_is_read_again(file: Path) -> None:
    authentication = Authentication(f"file:{file}")
    _write(file.with_name("new"), hashed("second")).replace(file)
    assert [_lets_in(authentication, key) for key in ("first", "second")] == [False, True]


@pytest.mark.parametrize("line", ["no hash", "abc123", "first", hashed("second")[:-1], "clé"])
def test_a_change_with_a_bad_line_keeps_the_keys_that_were_read_last(file: Path, line: str) -> None:
    authentication = Authentication(f"file:{file}")
    _write(file, hashed("second"), line)
    assert [_lets_in(authentication, key) for key in ("first", "second")] == [True, False]
    _write(file, hashed("second"))
    assert [_lets_in(authentication, key) for key in ("first", "second")] == [False, True]


def test_a_file_that_is_removed_keeps_its_keys_until_it_is_back(file: Path) -> None:
    authentication = Authentication(f"file:{file}")
    file.unlink()
    assert _lets_in(authentication, "first")
    _write(file, hashed("second"))
    assert [_lets_in(authentication, key) for key in ("first", "second")] == [False, True]


def test_a_file_that_is_missing_at_the_start_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        Authentication(f"file:{tmp_path / 'absent'}")
    message = str(caught.value)
    assert is_one_sentence(message)
    assert "CHASQUI_API_KEYS" in message
    assert str(tmp_path / "absent") in message


def test_a_bad_line_at_the_start_is_refused_by_number_without_being_repeated(tmp_path: Path) -> None:
    path = _write(tmp_path / "keys", hashed("first"), "my-secret-key")
    with pytest.raises(SettingsError) as caught:
        Authentication(f"file:{path}")
    message = str(caught.value)
    assert is_one_sentence(message)
    assert "CHASQUI_API_KEYS: entry 2" in message
    assert "my-secret-key" not in message


def test_where_keys_are_required_a_caller_is_its_key_wherever_it_calls_from() -> None:
    authentication = Authentication("one,two")
    first = authentication.caller(shown("Bearer one", "10.0.0.1"))
    assert first == authentication.caller(shown("bearer one ", "10.0.0.2"))
    assert first != authentication.caller(shown("Bearer two", "10.0.0.1"))
    assert "one" not in first.account


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "", True),
        ("/run/socket", "10.0.0.1", False),
    ],
)
def test_without_keys_a_caller_is_its_address_or_network_whatever_key_it_shows(
    first: str, second: str, same: bool
) -> None:
    authentication = Authentication("")
    callers = (authentication.caller(shown("Bearer a", first)), authentication.caller(shown("Bearer b", second)))
    assert (callers[0] == callers[1]) is same


class FakeAccounts:
    """Has one key, `chasqui_...`, and takes every text that begins with `jwt:` or `eyJ` as a token of it."""

    def __init__(self, stored: Key | None = None) -> None:
        self.stored: Key | None = stored or Key("ana", "", datetime.now(UTC))
        self.scope = ScopedToken("t", datetime.now(UTC) + timedelta(hours=1))
        self.keys_version = 1
        self.asked = 0  # for keys

    def key(self, secret: str) -> Key | None:
        self.asked += 1
        return self.stored if secret == KEY else None

    def lasts(self, secret: str) -> bool:
        return secret == KEY and self.stored is not None and self.stored.expires_at is None

    def is_token(self, text: str) -> bool:
        return text.startswith(("jwt:", "eyJ"))

    def token(self, text: str) -> tuple[Key, ScopedToken]:
        if self.stored is None or "forged" in text:
            raise InvalidApiKey("Incorrect token provided.")
        return self.stored, self.scope


SERVICES = [
    import_module(f"chasqui.v1.{path.stem}").DESCRIPTOR
    for path in sorted(Path(chasqui.v1.__path__[0]).glob("*_service_pb2.py"))
]


def authentication(api_keys: str = "", accounts: FakeAccounts | None = None) -> Authentication:
    return Authentication(api_keys, accounts or FakeAccounts())  # type: ignore[arg-type]


def test_a_key_is_verified_once_until_keys_change() -> None:
    accounts = FakeAccounts()
    checked = authentication(accounts=accounts)
    assert len({checked.caller(shown(f"Bearer {KEY}")).account for _ in range(3)}) == accounts.asked == 1
    accounts.stored = None
    accounts.keys_version += 1
    assert not _lets_in(checked, KEY)
    accounts.stored = Key("bob", "", datetime.now(UTC))
    accounts.keys_version += 1
    assert checked.caller(shown(f"Bearer {KEY}")).account == "bob"


def test_a_verified_key_opens_neither_for_another_text_nor_for_another_endpoint() -> None:
    checked = authentication(accounts=FakeAccounts(Key("ana", "", datetime.now(UTC), endpoints=("tokenize",))))
    metadata = shown(f"Bearer {KEY}") | {"x-endpoint": "tokenize"}
    checked.caller(metadata)
    for other in (KEY[:-1], KEY + "x", KEY.swapcase(), ""):
        with pytest.raises(InvalidApiKey):
            checked.caller(metadata | {"authorization": f"Bearer {other}"})
    with pytest.raises(PermissionDenied):
        checked.caller(metadata | {"x-endpoint": "messages"})


@pytest.mark.parametrize("credential", [KEY, "jwt:a.b.c"], ids=["key", "token"])
def test_what_may_end_by_itself_is_verified_every_time(credential: str) -> None:
    accounts = FakeAccounts(Key("ana", "", datetime.now(UTC), expires_at=datetime.now(UTC) + timedelta(hours=1)))
    checked = authentication(accounts=accounts)
    for _ in range(2):
        checked.caller(shown(f"Bearer {credential}"))
    assert accounts.asked == 2


def test_the_memory_of_verified_keys_is_bounded() -> None:
    checked = authentication()
    known = checked._known
    assert known is not None
    checked.caller(shown(f"Bearer {KEY}{' ' * 1000}"))
    assert len(known._callers) == 0
    for number in range(2 * MOST_CALLERS + 1):
        checked.caller(shown(f"Bearer {KEY}") | {"x-endpoint": f"files/{number}"})
        assert 0 < len(known._callers) <= MOST_CALLERS


def test_a_token_is_its_key_s_and_narrower() -> None:
    by_key, by_token = (authentication().caller(shown(f"Bearer {given}")) for given in (KEY, "jwt:a.b.c"))
    assert (by_key.account, by_key.token) == ("ana", None)
    assert (by_token.account, by_token.token is not None) == ("ana", True)
    for path in ("files", "batches/{id}", "scoped-jwt"):
        authentication().caller(shown(f"Bearer {KEY}") | {"x-endpoint": path})
        with pytest.raises(PermissionDenied):
            authentication().caller(shown("Bearer jwt:a.b.c") | {"x-endpoint": path})


@pytest.mark.parametrize("api_keys", ["", "listed"])
def test_a_token_that_is_not_valid_is_no_key_either(api_keys: str) -> None:
    for forged in ("jwt:forged", "eyJforged.b.c"):
        with pytest.raises(InvalidApiKey):
            authentication(api_keys).caller(shown(f"Bearer {forged}"))


def test_keys_of_the_settings_stay_valid_beside_tokens() -> None:
    assert authentication("listed,a.b.c").caller(shown("Bearer a.b.c")).key is None
    assert authentication("listed").caller(shown("Bearer listed")).token is None


async def test_of_all_methods_tokens_are_for_generation_counts_models_and_usage() -> None:
    methods = [
        f"/{service.full_name}/{method.name}"
        for file in SERVICES
        for service in file.services_by_name.values()
        for method in service.methods
    ]
    interceptor = AuthenticationInterceptor(authentication())
    handler: Any = grpc.unary_unary_rpc_method_handler(lambda _, __: None)

    async def found(_: object) -> object:
        return handler

    async def allowed(credential: str) -> set[str]:
        calls = [(method, Details(method, (("authorization", f"Bearer {credential}"),))) for method in methods]
        results = [(method, await interceptor.intercept_service(found, details)) for method, details in calls]  # type: ignore[arg-type]
        return {method.rpartition(".")[2] for method, result in results if result is handler}

    assert len(await allowed(KEY)) == len(methods)
    assert await allowed("jwt:a.b.c") == {
        *("ChatService/Chat", "ChatService/StreamChat", "UsageService/ListUsage"),
        *("ModelService/ListModels", "ModelService/GetModel", "ModelService/CountTokens", "ModelService/Detokenize"),
    }


class Details(NamedTuple):
    """What an interceptor is given of a call."""

    method: str
    invocation_metadata: tuple[tuple[str, str], ...]
