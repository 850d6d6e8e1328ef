"""Prices: set for a time, listed, withdrawn, and taken up by a running server at their time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from services.accounts.keys.key import AccountsError
from services.accounts.prices.listed_price import ListedPrice
from services.accounts.prices.price import Price, amounts_of
from services.accounts.prices.price_list import PriceList
from services.accounts.sql.changes import Changes
from services.accounts.sql.price_book import PriceBook, SqlPriceStore
from services.cli import main
from services.service_tier import ServiceTier
from services.settings import Settings
from tests.support.wording import is_one_sentence

NOON = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(database: Engine) -> SqlPriceStore:
    return SqlPriceStore(database)


@pytest.fixture
def book(database: Engine) -> Iterator[PriceBook]:
    opened = PriceBook(database)
    changes = Changes(database, [opened.read])
    yield opened
    changes.close()


def price(text: str, version: str = "") -> Price:
    return Price(*amounts_of(text), version)


def listed(text: str, hours: int, model: str = "") -> ListedPrice:
    return ListedPrice(price(text, f"{text} of {model or 'all'}"), model, NOON + hours * HOUR)


def versions(prices: PriceList, *hours: float) -> list[str]:
    return [prices.at(NOON + hour * HOUR)[ServiceTier.DEFAULT].version for hour in hours]


def test_a_price_is_valid_from_its_time_to_the_next_and_before_the_first_that_of_the_settings() -> None:
    rows = (listed("1", 0), listed("2", 2))
    prices = PriceList(Settings(price="0.5"), "demo", lambda: rows)
    expected = ["CHASQUI_PRICE=0.5", "1 of all", "1 of all", "2 of all"]
    assert versions(prices, -0.001, 0, 1.999, 2) == expected
    assert versions(prices, 2, 1.999, 0, -0.001) == expected[::-1]


def test_a_model_s_own_price_comes_before_that_of_all_models() -> None:
    rows = (listed("1", 0), listed("2", 1, "demo"), listed("3", 2), listed("4", 3, "larger"))
    prices = PriceList(Settings(), "demo", lambda: rows)
    assert versions(prices, 0.5, 1, 2, 3) == ["1 of all", "2 of demo", "2 of demo", "2 of demo"]
    assert versions(PriceList(Settings(), "larger", lambda: rows), 0.5, 2, 3) == ["1 of all", "3 of all", "4 of larger"]


def test_of_two_prices_for_the_same_time_the_later_one_counts() -> None:
    rows = (listed("1", 0), listed("2", 0))
    assert versions(PriceList(Settings(), "demo", lambda: rows), 0) == ["2 of all"]


def test_a_change_holds_at_once_for_the_moment_that_was_asked_for_before() -> None:
    changes: list[Sequence[ListedPrice]] = [(), (listed("1", 0),), (listed("2", 0),)]
    prices = PriceList(Settings(price="0.5"), "demo", lambda: changes[0])
    found = versions(prices, 1, 1)
    for _ in range(2):
        del changes[0]
        found += versions(prices, 1, 1)
    assert found == ["CHASQUI_PRICE=0.5"] * 2 + ["1 of all"] * 2 + ["2 of all"] * 2


def test_the_tiers_are_multiples_of_a_listed_price() -> None:
    rows = (listed("1,0.5,2", 0),)
    tiers = PriceList(Settings(), "demo", lambda: rows).at(NOON)
    assert [tiers[tier].cost(0, 0, 10) for tier in ServiceTier] == [30_000_000, 20_000_000, 16_000_000]
    assert tiers[ServiceTier.FLEX].version == "1,0.5,2 of all CHASQUI_FLEX_PRICE=0.8"


def test_a_running_server_takes_every_change(store: SqlPriceStore, book: PriceBook) -> None:
    later = store.add(price("0.3,0.1,0.9"), "demo", datetime.now(UTC) + HOUR)
    end = time.monotonic() + 60
    while not book.prices and time.monotonic() < end:
        time.sleep(0.02)
    assert list(book.prices) == [later]
    assert later.price.completion == Decimal("0.9")
    store.withdraw(later.price.version)
    while book.prices and time.monotonic() < end:
        time.sleep(0.02)
    assert list(book.prices) == []


def test_a_price_without_a_time_is_valid_from_the_next_second_on(store: SqlPriceStore) -> None:
    before = datetime.now(UTC)
    added = store.add(price("1"), "", None)
    assert before < added.valid_from <= datetime.now(UTC) + timedelta(seconds=1)
    assert added.valid_from.microsecond == 0


def test_what_would_change_the_price_of_calls_that_were_billed_is_refused(store: SqlPriceStore) -> None:
    with pytest.raises(AccountsError, match="in the past"):
        store.add(price("1"), "", datetime.now(UTC) - HOUR)
    added = store.add(price("1"), "", None)
    while (left := (added.valid_from - datetime.now(UTC)).total_seconds()) >= 0:
        time.sleep(left + 0.001)
    with pytest.raises(AccountsError, match="has been valid"):
        store.withdraw(added.price.version)
    later = store.add(price("1"), "", datetime.now(UTC) + HOUR)
    store.withdraw(later.price.version)
    for version, why in ((later.price.version, "already"), ("price-99", "no price"), ("99", "no price")):
        with pytest.raises(AccountsError, match=why) as raised:
            store.withdraw(version)
        assert is_one_sentence(str(raised.value))


@pytest.fixture
def accounts(place: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CHASQUI_ACCOUNTS", place)
    return place


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["prices", *words])


def rows_of(*words: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(run("list", *words, "--format", "json").stdout)
    return rows


def test_an_operator_sets_lists_and_withdraws_prices(accounts: str) -> None:
    first = run("set", "0.3,0.1,0.9", "--from", "1h").stdout.strip()
    second = run("set", "0.5", "--model", "demo", "--from", "2d").stdout.strip()
    rows = rows_of()
    assert [(row["version"], row["model"], row["status"]) for row in rows] == [
        (first, "all", "future"),
        (second, "demo", "future"),
    ]
    amounts = [(row["prompt"], row["cached_prompt"], row["completion"]) for row in rows]
    assert amounts == [("0.300000000000", "0.100000000000", "0.900000000000"), ("0.500000000000",) * 3]
    assert run("withdraw", first).exit_code == 0
    assert [row["version"] for row in rows_of()] == [second]
    assert [row["status"] for row in rows_of("--all")] == ["withdrawn", "future"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["set", "cheap"], "'cheap'"),
        (["set", "1,2"], "one price"),
        (["set", "1", "--from", "soon"], "'soon'"),
        (["set", "1", "--from", "2020-01-01"], "in the past"),
        (["withdraw", "price-7"], "'price-7'"),
    ],
)
def test_what_is_wrong_is_named(accounts: str, words: list[str], named: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert named in result.stderr
