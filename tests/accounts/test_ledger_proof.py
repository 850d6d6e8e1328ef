"""Random calls while everything is killed in turn: the ledger has each once, as its caller or the engine had it."""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import select

from services.accounts.sql.database import open_database
from services.accounts.sql.tables import CALLS
from tests.accounts.callers import CHAT, Credential, Seen, call
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
# USD of the limited token: some twenty calls.
SPENDING_LIMIT = Decimal("0.002")
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
    port = free_row(4)
    given: dict[str, Any] = {
        "accounts": place,
        "accounts_journal": tmp_path / "journal",
        "metrics_address": f"127.0.0.1:{port}",
    }
    with Service(**SETTINGS, **given) as running:
        running.environ["SERVER_METRICS"] = f"http://127.0.0.1:{port}/metrics"
        yield running


@pytest.fixture
def credentials(service: Service, place: str) -> Sequence[Credential]:
    """A key that the service takes, and scoped tokens of it: without a limit, and with one that is soon spent."""
    operator = Operator(place)
    made = operator.run("keys", "create", "proof")
    words = {"model": "simulated", "prompt": "x"}
    end = time.monotonic() + 30
    while post(service.url + "/tokenize", words, authorization=f"Bearer {made}").status != 200:
        assert time.monotonic() < end
    limited = operator.run("keys", "token", made, "--id", "limited", "--usd", str(SPENDING_LIMIT))
    return [
        Credential(made),
        Credential(operator.run("keys", "token", made, "--id", "wide"), "wide"),
        Credential(limited, "limited"),
    ]


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
        assert (row["key"], row["token"]) == ("proof", one.token)
        assert row["outcome"] in OUTCOMES[one.ended], (one, row)
        assert row["completion_tokens"] >= one.tokens, (one, row)
        if one.ended == "completed":
            tokens = row["prompt_tokens"], row["completion_tokens"], row["cached_tokens"]
            assert (*tokens, float(row["cost"])) == one.counted


def check_logged(service: Service, rows: Rows, kills: int = 0) -> None:
    """Every usage record in the log of the servers, what the engine had made, is a row; other rows cost nothing.

    But for those of lost calls, and for one with each kill of a server: a call has its row before its line.
    """
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
    ended = 0
    for call_id in rows.keys() - records.keys():
        row = rows[call_id]
        if row["cost"]:
            assert row["cost"] == priced(row["prompt_tokens"], row["completion_tokens"])
            ended += row["outcome"] != "lost"
        else:
            assert (row["prompt_tokens"], row["completion_tokens"]) == (0, 0), row
    assert ended <= kills


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


def check_spending(place: str, seen: Sequence[Seen], rows: Rows) -> None:
    """Both tokens have made calls, and the limited one has spent what it may and no more, lost calls aside.

    What a server that died had begun is not counted by the next one: its cost is known later, from the edge.
    """
    report = json.loads(Operator(place).run("usage", "--by", "token", "--format", "json"))
    costs: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows.values():
        costs[row["token"]] += row["cost"]
    assert {row["token"]: Decimal(row["cost_usd"]) for row in report} == costs
    assert set(costs) == {"", "wide", "limited"}
    assert {one.token for one in seen if one.ended == "spent"} == {"limited"}
    settled = [row["cost"] for row in rows.values() if row["token"] == "limited" and row["outcome"] != "lost"]
    assert 0 < sum(settled) <= SPENDING_LIMIT


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
    service: Service, place: str, credentials: Sequence[Credential], request: pytest.FixtureRequest
) -> None:
    with ThreadPoolExecutor(CALLERS) as threads:
        futures = [threads.submit(call, service, credentials, number) for number in range(CALLS_MADE)]
        if "://" in place:
            database: PostgreSQL = request.getfixturevalue("database")
            time.sleep(3)
            database.kill()
            time.sleep(3)
            database.start()
        seen = [future.result() for future in futures]
    assert [one for one in seen if one.ended == "broken"] == []
    rows = ledger(place)
    assert len(rows) >= sum(one.ended == "completed" for one in seen)
    check_callers(seen, rows)
    check_logged(service, rows)
    check_sums(place, seen, rows)
    check_spending(place, seen, rows)
    check_metrics(service, rows)
    # On a busy machine the deadline of a call may pass before it is admitted: it has no row.
    assert 0 < sum(row["outcome"] == "deadline" for row in rows.values()) <= sum(one.ended == "late" for one in seen)


def replace(service: Service, part: str) -> None:
    """Kill a process, and wait for the next one: what a server had begun is lost with an edge that dies before that."""
    killed = service.parts()[part]
    killed.kill()
    while (now := service.parts().get(part)) is None or now.pid == killed.pid:
        time.sleep(0.02)
    service.wait_ready()


def test_every_call_has_its_row_whatever_is_killed(
    service: Service, place: str, credentials: Sequence[Credential], request: pytest.FixtureRequest
) -> None:
    stopped, numbers, seen = Event(), count(), []

    def caller() -> None:
        while not stopped.is_set() and (number := next(numbers)) < MOST_CALLS:
            one = call(service, credentials, number)
            seen.append(one)
            if one.ended == "broken":
                time.sleep(0.1)

    with ThreadPoolExecutor(CALLERS) as threads:
        callers = [threads.submit(caller) for _ in range(CALLERS)]
        try:
            for _ in range(KILLS):
                for part in ("server", "edge", "envoy"):
                    time.sleep(1)
                    replace(service, part)
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
    check_logged(service, rows, kills=KILLS)
    check_sums(place, seen, rows)
    check_spending(place, seen, rows)
    assert {one.ended for one in seen} >= {"completed", "left", "late", "broken", "spent"}
    lost = [row for row in rows.values() if row["outcome"] == "lost"]
    assert {bool(row["completion_tokens"]) for row in lost} == {True, False}


def test_an_answer_that_arrived_is_in_the_ledger_though_its_server_is_killed_at_once(
    service: Service, place: str, credentials: Sequence[Credential]
) -> None:
    body = {"model": "simulated", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
    using = [credentials[number % 2] for number in range(20)]
    answers = [post(service.url + CHAT, body, authorization=f"Bearer {one.secret}").json() for one in using]
    service.parts()["server"].kill()
    service.wait_ready()
    rows = ledger(place)
    check_callers(
        [
            Seen("completed", answer["id"], answer["usage"], token=one.token)
            for one, answer in zip(using, answers, strict=True)
        ],
        rows,
    )
    assert len(rows) == len(answers)
