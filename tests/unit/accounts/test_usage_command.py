"""`chasqui usage`, as an operator types it."""

from __future__ import annotations

import csv
import io
import json

import pytest
from click.testing import CliRunner, Result

from services.accounts.ledger.journal import Journal
from services.accounts.sql.database import open_database
from services.accounts.sql.ledger import Ledger
from services.cli import main
from tests.support.ledger import an_entry


@pytest.fixture
def accounts(place: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> str:
    monkeypatch.setenv("CHASQUI_ACCOUNTS", place)
    engine = open_database(place)
    ledger = Ledger(engine, Journal(tmp_path_factory.mktemp("ledger") / "journal"))
    for number, (key, model) in enumerate([("ana", "demo"), ("ana", "other"), ("ben", "demo")]):
        ledger.record(an_entry(str(number), key=key, model=model))
    ledger.close()
    engine.dispose()
    return place


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["usage", *words])


def test_a_table_has_a_line_for_each_key_with_exact_cost(accounts: str) -> None:
    lines = [line.split() for line in run().stdout.splitlines()]
    assert lines[0] == ["key", "calls", "prompt", "tokens", "cached", "tokens", "completion", "tokens", "cost", "usd"]
    assert lines[1:] == [["ana", "2", "20", "8", "8", "0.000001540000"], ["ben", "1", "10", "4", "4", "0.000000770000"]]


def test_csv_and_json_say_the_same(accounts: str) -> None:
    by = ("--by", "key,day,model")
    rows = json.loads(run(*by, "--format", "json").stdout)
    assert [{name: str(value) for name, value in row.items()} for row in rows] == [
        *csv.DictReader(io.StringIO(run(*by, "--format", "csv").stdout))
    ]
    assert [(row["key"], row["day"], row["model"]) for row in rows] == [
        ("ana", "2027-01-31", "demo"),
        ("ana", "2027-01-31", "other"),
        ("ben", "2027-01-31", "demo"),
    ]


def test_sums_are_bounded_by_time_and_key(accounts: str) -> None:
    assert json.loads(run("--since", "2027-02-01", "--format", "json").stdout) == []
    assert json.loads(run("--by", "", "--key", "ana", "--format", "json").stdout)[0]["calls"] == 2


def test_an_unknown_group_is_named(accounts: str) -> None:
    result = run("--by", "key,week")
    assert result.exit_code == 2
    assert "'week' is none of" in result.stderr
