"""Random calls while everything is killed in turn: the ledger has each once, as its caller or the engine had it."""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import psutil
import pytest
import sqlalchemy
from sqlalchemy import select

from services.accounts.sql.database import open_database
from services.accounts.sql.tables import CALLS
from tests.accounts.callers import CHAT, Seen, call
from tests.support.http import get, post
from tests.support.operator import Operator
from tests.support.ports import free_row
from tests.support.postgresql import PostgreSQL
from tests.support.service import Service

CALLS_MADE = 300
CALLERS = 12
# Each part is killed so many times, while at most so many calls are made.
KILLS = 3
MOST_CALLS = 4000
SETTINGS: dict[str, Any] = {
    "engine": "simulated",
    "simulated_rate": 300,
    "model_name": "simulated",
    "parallel": 16,
    "price": "0.3,0.1,0.9",
}
# What the row of a call that ended so for its caller may say.
OUTCOMES = {
    "completed": {"completed"},
    "left": {"cancelled", "completed", "lost"},
    "late": {"deadline", "lost"},
    "broken": {"cancelled", "completed", "refused", "failed", "lost", "deadline"},
}
Rows = Mapping[str, sqlalchemy.RowMapping]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "accounts.db")
    operator: Operator = request.getfixturevalue("operator")
    return operator.place


@pytest.fixture
def service(place: str, tmp_path: Path) -> Iterator[Service]:
    port = free_row(3)
    given: dict[str, Any] = {
        "accounts": place,
        "accounts_journal": tmp_path / "journal",
        "metrics_address": f"127.0.0.1:{port}",
    }
    with Service(**SETTINGS, **given) as running:
        running.environ["SERVER_METRICS"] = f"http://127.0.0.1:{port}/metrics"
        yield running


@pytest.fixture
def key(service: Service, place: str) -> str:
    """A key that the service takes."""
    made = Operator(place).run("keys", "create", "proof")
    words = {"model": "simulated", "prompt": "x"}
    end = time.monotonic() + 30
    while post(service.url + "/tokenize", words, authorization=f"Bearer {made}").status != 200:
        assert time.monotonic() < end
    return made


def ledger(place: str) -> Rows:
    """Every row by call id, once no more come."""
    engine = open_database(place)
    end = time.monotonic() + 60
    before: Rows | None = None
    while True:
        with engine.connect() as connection:
            rows = connection.execute(select(CALLS)).mappings().all()
        found = {row["call_id"]: row for row in rows}
        assert len(found) == len(rows)
        if found == before or time.monotonic() > end:
            engine.dispose()
            return found
        before = found
        time.sleep(3)


def check_callers(seen: Sequence[Seen], rows: Rows) -> None:
    """Every call whose id a caller knows has the row that it must have."""
    assert [one for one in seen if one.call_id is not None and one.call_id not in rows] == []
    for one in seen:
        if one.call_id is None:
            continue
        row = rows[one.call_id]
        assert row["outcome"] in OUTCOMES[one.ended], (one, row)
        assert row["completion_tokens"] >= one.tokens, (one, row)
        if one.ended == "completed":
            tokens = row["prompt_tokens"], row["completion_tokens"], row["cached_tokens"]
            assert (*tokens, float(row["cost"])) == one.counted


def check_logged(service: Service, rows: Rows) -> None:
    """Every usage record in the log of the servers, what the engine had made, is a row; other rows cost nothing."""
    records = {}
    for line in service.output().splitlines():
        if '"chat call ended"' in line and line.startswith("{"):
            record = json.loads(line)
            records[record["chat_id"]] = record
    for call_id, record in records.items():
        row = rows[call_id]
        assert row["outcome"] == record["outcome"]
        for name in ("prompt_tokens", "completion_tokens", "cached_tokens"):
            assert row[name] == record[name], (row, record)
        assert float(row["cost"]) == record["estimated_cost"]
    for call_id in rows.keys() - records.keys():
        row = rows[call_id]
        if row["outcome"] == "lost" and row["completion_tokens"]:
            assert row["cost"] == priced(row["prompt_tokens"], row["completion_tokens"])
        else:
            assert (row["prompt_tokens"], row["completion_tokens"], row["cost"]) == (0, 0, 0), row


def priced(prompt_tokens: int, completion_tokens: int) -> Decimal:
    return (prompt_tokens * Decimal("0.3") + completion_tokens * Decimal("0.9")) / 10**6


def check_sums(place: str, seen: Sequence[Seen], rows: Rows) -> None:
    """The sums of the report, of the rows and of the answers agree to the last picodollar."""
    report = json.loads(Operator(place).run("usage", "--by", "", "--format", "json"))
    assert Decimal(report[0]["cost_usd"]) == sum((row["cost"] for row in rows.values()), Decimal(0))
    assert report[0]["calls"] == len(rows)
    answered = [one for one in seen if one.ended == "completed"]
    assert sum((Decimal(repr(one.counted[3])) for one in answered), Decimal(0)) == sum(
        (rows[one.call_id or ""]["cost"] for one in answered), Decimal(0)
    )


def check_metrics(service: Service, rows: Rows) -> None:
    """So do the metrics of a server that has lived all the time."""
    shown = get(service.environ["SERVER_METRICS"]).body.decode()
    by_outcome: defaultdict[str, float] = defaultdict(float)
    for labels, value in re.findall(r"^chasqui_cost_USD_total\{(.*)\} (\S+)$", shown, re.MULTILINE):
        by_outcome[re.findall(r'chasqui_outcome="(\w+)"', labels)[0]] += float(value)
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows.values():
        sums[row["outcome"]] += row["cost"]
    assert {name: value for name, value in by_outcome.items() if value} == {
        name: float(value) for name, value in sums.items() if value
    }
    [spent] = re.findall(r'^chasqui_owner_cost_USD_total\{.*chasqui_owner="none".*\} (\S+)$', shown, re.MULTILINE)
    assert float(spent) == float(sum(sums.values(), Decimal(0)))


def test_the_ledger_the_callers_and_the_metrics_agree(
    service: Service, place: str, key: str, request: pytest.FixtureRequest
) -> None:
    with ThreadPoolExecutor(CALLERS) as threads:
        futures = [threads.submit(call, service, key, number) for number in range(CALLS_MADE)]
        if "://" in place:
            database: PostgreSQL = request.getfixturevalue("database")
            time.sleep(3)
            database.kill()
            time.sleep(3)
            database.start()
        seen = [future.result() for future in futures]
    assert [one for one in seen if one.ended == "broken"] == []
    rows = ledger(place)
    assert len(rows) >= sum(one.ended in {"completed", "late"} for one in seen)
    check_callers(seen, rows)
    check_logged(service, rows)
    check_sums(place, seen, rows)
    check_metrics(service, rows)
    assert sum(row["outcome"] == "deadline" for row in rows.values()) == sum(one.ended == "late" for one in seen)


def test_every_call_has_its_row_whatever_is_killed(
    service: Service, place: str, key: str, request: pytest.FixtureRequest
) -> None:
    stopped, numbers, seen = Event(), count(), []

    def caller() -> None:
        while not stopped.is_set() and (number := next(numbers)) < MOST_CALLS:
            one = call(service, key, number)
            seen.append(one)
            if one.ended == "broken":
                time.sleep(0.1)

    with ThreadPoolExecutor(CALLERS) as threads:
        callers = [threads.submit(caller) for _ in range(CALLERS)]
        try:
            for _ in range(KILLS):
                for part in ("server", "edge", "envoy"):
                    time.sleep(1)
                    with suppress(psutil.NoSuchProcess):
                        service.parts()[part].kill()
                    service.wait_ready()
                if "://" in place:
                    database: PostgreSQL = request.getfixturevalue("database")
                    database.kill()
                    time.sleep(2)
                    database.start()
            time.sleep(1)
        finally:
            stopped.set()
        for future in callers:
            future.result()
    rows = ledger(place)
    check_callers(seen, rows)
    check_logged(service, rows)
    check_sums(place, seen, rows)
    assert {one.ended for one in seen} >= {"completed", "left", "late", "broken"}
    lost = [row for row in rows.values() if row["outcome"] == "lost"]
    assert {bool(row["completion_tokens"]) for row in lost} == {True, False}


def test_an_answer_that_arrived_is_in_the_ledger_though_its_server_is_killed_at_once(
    service: Service, place: str, key: str
) -> None:
    body = {"model": "simulated", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
    answers = [post(service.url + CHAT, body, authorization=f"Bearer {key}").json() for _ in range(20)]
    service.parts()["server"].kill()
    service.wait_ready()
    rows = ledger(place)
    check_callers([Seen("completed", answer["id"], answer["usage"]) for answer in answers], rows)
    assert len(rows) == len(answers)
