"""`chasqui keys`, as an operator types it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from services.accounts.keys.secret import hash_of, new_secret
from services.accounts.keys.token_signature import verified
from services.cli import main


@pytest.fixture
def accounts(place: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CHASQUI_ACCOUNTS", place)
    return place


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["keys", *words])


def rows(*words: str) -> list[dict[str, Any]]:
    result = run(*words, "--format", "json")
    assert result.exit_code == 0, result.output
    listed: list[dict[str, Any]] = json.loads(result.stdout)
    return listed


def test_a_key_is_printed_alone_and_never_again(accounts: str) -> None:
    made = run("create", "ana", "--owner", "research", "--expires", "30d")
    secret = made.stdout.strip()
    assert secret.startswith("chasqui_")
    for shown in (run("list"), run("show", "ana"), run("list", "--format", "csv"), run("show", "ana", "--format=json")):
        assert secret not in shown.output
        assert f"chasqui_{secret.split('_')[1]}_" in shown.output
        assert "research" in shown.output


def test_limits_are_set_and_lifted(accounts: str) -> None:
    run("create", "ana", "--models", "m, n", "--endpoints", "tokenize")
    assert (rows("show", "ana")[0]["models"], rows("show", "ana")[0]["endpoints"]) == (["m", "n"], ["tokenize"])
    assert run("limit", "ana", "--endpoints", "all").exit_code == 0
    assert (rows("show", "ana")[0]["models"], rows("show", "ana")[0]["endpoints"]) == (["m", "n"], ["all"])


def test_amounts_are_shown_as_they_were_set(accounts: str) -> None:
    run("create", "ana", "--usd-per-day", "2.50", "--usd-per-month", "100")
    assert (rows("show", "ana")[0]["usd_per_day"], rows("show", "ana")[0]["usd_per_month"]) == ("2.5", "100")


def test_a_token_is_signed_without_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = run("--accounts", str(tmp_path / "keys.db"), "create", "ana").stdout.strip()
    monkeypatch.setenv("CHASQUI_ACCOUNTS", "/nowhere/at/all")
    words = ("--models", "m, n", "--expires", "1h", "--usd", "0.5", "--id", "app")
    printed = run("token", secret, *words).stdout.strip()
    found = verified(printed, hash_of(secret))
    assert (found.id, found.models, found.spending_limit) == ("app", ("m", "n"), Decimal("0.5"))
    read = CliRunner().invoke(main, ["keys", "token"], input=f"{secret}\n").stdout.strip()
    assert verified(read, hash_of(secret)).models == ()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("chasqui_key",), "is none that"),
        ((new_secret(), "--expires", "400d"), "within 365 days"),
        ((new_secret(), "--usd", "much"), "'much'"),
        ((new_secret(), "--models", "m,"), "model's name is empty"),
        ((new_secret(), "--id", "a b"), "The id must have"),
    ],
)
def test_a_token_that_cannot_be_is_named_with_status_2(words: tuple[str, ...], named: str) -> None:
    result = run("token", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert named in result.stderr


def test_revoked_keys_are_listed_only_with_all(accounts: str) -> None:
    run("create", "ana")
    run("create", "ben")
    run("revoke", "ana")
    assert [row["name"] for row in rows("list")] == ["ben"]
    assert [(row["name"], row["status"]) for row in rows("list", "--all")] == [("ana", "revoked"), ("ben", "active")]


def test_a_rotated_key_has_another_secret(accounts: str) -> None:
    first = run("create", "ana").stdout
    second = rows("rotate", "ana", "--overlap", "1h")[0]
    assert second["key"] != first.strip()
    assert len(second["prefixes"]) == 2


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("create", "ana", "--endpoints", "chat"), "'chat' is none of"),
        (("create", "ana", "--models", ","), "there is no name"),
        (("create", "ana", "--expires", "tomorrow"), "'tomorrow' is no time"),
        (("create", "a b"), "'a b' is no name"),
        (("rotate", "ana", "--overlap", "1 week"), "'1 week' is no time span"),
        (("show", "ana"), "There is no key 'ana'"),
        (("limit", "ana"), "nothing to change"),
    ],
)
def test_what_is_wrong_is_named_with_status_2(accounts: str, words: tuple[str, ...], named: str) -> None:
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert named in result.stderr


def test_without_a_place_the_setting_is_named() -> None:
    result = run("list")
    assert result.exit_code == 2
    assert "CHASQUI_ACCOUNTS is not set" in result.stderr


def test_a_place_may_be_given_as_an_option(tmp_path: Path) -> None:
    assert run("--accounts", str(tmp_path / "other.db"), "create", "ana").exit_code == 0
    assert "ana" in run("--accounts", str(tmp_path / "other.db"), "list").output
