"""Random calls while PostgreSQL is killed and starts again: the ledger has, once, what every caller got."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import select

from services.accounts.sql.database import open_database
from services.accounts.sql.tables import CALLS
from tests.accounts.conftest import Operator
from tests.support.http import post
from tests.support.postgresql import PostgreSQL
from tests.support.service import Service

CALLS_MADE = 300
SETTINGS: dict[str, Any] = {
    "engine": "simulated",
    "simulated_rate": 300,
    "model_name": "simulated",
    "parallel": 16,
    "price": "0.3,0.1,0.9",
}


@dataclass
class Seen:
    """What a caller knows of a call: how it ended, the id of the response, and its usage if there was one."""

    ended: str
    request_id: str
    call_id: str | None = None
    usage: dict[str, Any] | None = None


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "accounts.db")
    operator: Operator = request.getfixturevalue("operator")
    return operator.place


@pytest.fixture
def service(place: str, tmp_path: Path) -> Iterator[Service]:
    with Service(**SETTINGS, accounts=place, accounts_journal=tmp_path / "journal") as running:
        yield running


def call(service: Service, key: str, number: int) -> Seen:
    """One call of a random kind."""
    rng = random.Random(number)  # noqa: S311 - a call
    body = {
        "model": "simulated",
        "messages": [{"role": "user", "content": "word " * rng.randrange(1, 50)}],
        "max_tokens": rng.randrange(1, 60),
        "n": rng.choice([1, 1, 2]),
    }
    headers = {"authorization": f"Bearer {key}", "x_request_id": f"call-{number}"}
    kind = rng.choice(["whole", "whole", "stream", "leave", "late"])
    if kind == "leave":
        return leave(service, {**body, "stream": True, "max_tokens": 600}, headers)
    if kind == "late":
        late = post(
            service.url + "/v1/chat/completions", {**body, "max_tokens": 600}, **headers, x_request_timeout="0.2"
        )
        return Seen("late", headers["x_request_id"]) if late.status == 504 else Seen("refused", headers["x_request_id"])
    reply = post(service.url + "/v1/chat/completions", {**body, "stream": kind == "stream"}, **headers)
    assert reply.status == 200, reply.body
    last = reply.json() if kind == "whole" else last_event(reply.body)
    return Seen("completed", headers["x_request_id"], last["id"], last["usage"])


def last_event(stream: bytes) -> dict[str, Any]:
    events = [json.loads(line[6:]) for line in stream.split(b"\n") if line.startswith(b"data: {")]
    event: dict[str, Any] = next(event for event in reversed(events) if event.get("usage"))
    return event


def leave(service: Service, body: dict[str, Any], headers: dict[str, str]) -> Seen:
    """Close the connection in the middle of the stream."""
    data = json.dumps(body).encode()
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection((service.host, service.port)) as connection:
        connection.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{head}"
            f"content-length: {len(data)}\r\n\r\n".encode()
            + data
        )
        received = b""
        with suppress(OSError):
            while b'"id":"' not in received:
                received += connection.recv(4096)
            return Seen("left", headers["x_request_id"], received.partition(b'"id":"')[2].partition(b'"')[0].decode())
    return Seen("left", headers["x_request_id"])


def ledger(place: str, calls: int) -> dict[str, sqlalchemy.RowMapping]:
    """Every row by call id, once so many are written and no more come."""
    engine = open_database(place)
    end = time.monotonic() + 60
    before = -1
    while True:
        with engine.connect() as connection:
            rows = connection.execute(select(CALLS)).mappings().all()
        if calls <= len(rows) == before or time.monotonic() > end:
            engine.dispose()
            return {row["call_id"]: row for row in rows}
        before = len(rows)
        time.sleep(2)


def test_the_ledger_is_what_the_callers_got(service: Service, place: str, request: pytest.FixtureRequest) -> None:
    key = Operator(place).run("keys", "create", "proof")
    body = {"model": "simulated", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    end = time.monotonic() + 30
    while post(service.url + "/v1/chat/completions", body, authorization="Bearer x" + key[1:]).status != 401:
        assert time.monotonic() < end
    while (
        post(service.url + "/tokenize", {"model": "simulated", "prompt": "x"}, authorization=f"Bearer {key}").status
        != 200
    ):
        assert time.monotonic() < end
    with ThreadPoolExecutor(12) as threads:
        futures = [threads.submit(call, service, key, number) for number in range(CALLS_MADE)]
        if "://" in place:
            database: PostgreSQL = request.getfixturevalue("database")
            time.sleep(3)
            database.kill()
            time.sleep(3)
            database.start()
        seen = [future.result() for future in futures]
    admitted = [one for one in seen if one.ended != "refused"]
    rows = ledger(place, len(admitted))
    assert len(rows) >= len(admitted)
    outcomes = {"completed": {"completed"}, "left": {"cancelled", "completed"}, "late": {"deadline"}}
    for one in admitted:
        if one.call_id is None:
            continue
        row = rows[one.call_id]
        assert row["outcome"] in outcomes[one.ended], one
        if one.usage is not None:
            counted = (row["prompt_tokens"], row["completion_tokens"], row["cached_tokens"], float(row["cost"]))
            details = one.usage["prompt_tokens_details"]
            assert counted == (
                one.usage["prompt_tokens"],
                one.usage["completion_tokens"],
                details["cached_tokens"],
                one.usage["estimated_cost"],
            )
    by_outcome = [row["outcome"] for row in rows.values()]
    assert by_outcome.count("deadline") >= sum(one.ended == "late" for one in admitted)
    report = json.loads(Operator(place).run("usage", "--by", "", "--format", "json"))
    assert Decimal(report[0]["cost_usd"]) == sum((row["cost"] for row in rows.values()), Decimal(0))
    assert report[0]["calls"] == len(rows)


def test_what_ended_a_second_before_a_server_is_killed_is_in_the_ledger(service: Service, place: str) -> None:
    key = Operator(place).run("keys", "create", "killed")
    url, authorization = service.url + "/v1/chat/completions", f"Bearer {key}"
    body = {"model": "simulated", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
    end = time.monotonic() + 30
    while (reply := post(url, body, authorization=authorization)).status != 200:
        assert time.monotonic() < end
    done = [reply.json()["id"], *(post(url, body, authorization=authorization).json()["id"] for _ in range(20))]
    time.sleep(1)
    service.parts()["server"].kill()
    assert sorted(ledger(place, len(done))) == sorted(done)
