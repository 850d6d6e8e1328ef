"""Two replicas with one PostgreSQL and one Valkey or Redis: keys, limits and the ledger are theirs together."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.http import post
from tests.support.operator import Operator
from tests.support.service import Service
from tests.support.valkey import ValkeyServer

BODY = {"model": "simulated", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 2}
SETTINGS: dict[str, Any] = {
    "engine": "simulated",
    "simulated_rate": 0,
    "model_name": "simulated",
    "parallel": 32,
    "max_queue": 1024,
}

# Calls a minute, and how many are made in how many seconds.
RATE = 600
SECONDS = 76
OFFERED = 3040
CALLERS = 16


@pytest.fixture
def replicas(operator: Operator, store: ValkeyServer, tmp_path: Path) -> Iterator[list[Service]]:
    # Their servers run migrations at the same time.
    settings = {**SETTINGS, "accounts": operator.place, "limits_store": store.url}
    with ExitStack() as stack:
        yield [
            stack.enter_context(Service(**settings, accounts_journal=tmp_path / f"journal-{number}"))
            for number in range(2)
        ]


def status(replica: Service, key: str) -> int:
    return post(replica.url + "/v1/chat/completions", BODY, authorization=f"Bearer {key}").status


def wait_for(status_now: int, replica: Service, key: str) -> None:
    end = time.monotonic() + 30
    while status(replica, key) != status_now and time.monotonic() < end:
        time.sleep(0.1)
    assert status(replica, key) == status_now


def test_a_limit_of_calls_holds_exactly_for_both_together(operator: Operator, replicas: list[Service]) -> None:
    key = operator.run("keys", "create", "hot", "--calls-per-minute", "300")
    for replica in replicas:
        wait_for(200, replica, key)  # two calls each
    began = time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda number: status(replicas[number % 2], key), range(600)))
    assert time.monotonic() - began < 50  # else the first calls have left the minute
    assert (found.count(200), found.count(429)) == (296, 304)
    rows = json_rows(operator, "hot")
    assert [row["calls"] for row in rows] == [300]


def test_a_budget_holds_for_both_together(operator: Operator, replicas: list[Service]) -> None:
    key = operator.run("keys", "create", "poor", "--usd-per-day", "0.0001")
    for replica in replicas:
        wait_for(200, replica, key)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: status(random.choice(replicas), key), range(400)))  # noqa: S311
    assert 429 in found
    [row] = json_rows(operator, "poor")
    assert 0.00009 < float(row["cost_usd"]) <= 0.0001


def test_a_token_spends_its_limit_once_for_both_together(operator: Operator, replicas: list[Service]) -> None:
    key = operator.run("keys", "create", "signer")
    for replica in replicas:
        wait_for(200, replica, key)
    token = operator.run("keys", "token", key, "--usd", "0.0001", "--id", "shared")
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: status(random.choice(replicas), token), range(400)))  # noqa: S311
    assert {200, 429} == set(found)
    time.sleep(1.5)
    [row] = json.loads(operator.run("usage", "--by", "token", "--token", "shared", "--format", "json"))
    assert (row["token"], row["calls"]) == ("shared", found.count(200))
    assert 0.00009 < float(row["cost_usd"]) <= 0.0001


def test_while_the_store_is_away_calls_are_refused_and_replicas_are_not_ready(
    operator: Operator, replicas: list[Service], store: ValkeyServer
) -> None:
    key = operator.run("keys", "create", "limited", "--calls-per-minute", "1000")
    for replica in replicas:
        wait_for(200, replica, key)
    store.kill()
    try:
        wait_for(503, replicas[0], key)
    finally:
        store.start()
    for replica in replicas:
        replica.wait_ready()
        wait_for(200, replica, key)


def test_a_revoked_key_is_refused_by_both(operator: Operator, replicas: list[Service]) -> None:
    key = operator.run("keys", "create", "short")
    for replica in replicas:
        wait_for(200, replica, key)
    operator.run("keys", "revoke", "short")
    for replica in replicas:
        wait_for(401, replica, key)


def json_rows(operator: Operator, key: str) -> list[dict[str, Any]]:
    """The sums of a key, once every row is written."""
    time.sleep(1.5)
    rows: list[dict[str, Any]] = json.loads(operator.run("usage", "--key", key, "--format", "json"))
    return rows


def test_the_set_rate_is_met_within_one_percent_under_sustained_load(
    operator: Operator, replicas: list[Service]
) -> None:
    """Three times as many calls as the limit allows, for a quarter more than a minute: two minutes' worth of them."""
    key = operator.run("keys", "create", "steady", "--calls-per-minute", str(RATE))
    time.sleep(2)  # until both have the key; a call that asks would count
    began = time.monotonic()
    admitted: list[float] = []

    def caller(number: int) -> int:
        refused = 0
        for turn in range(OFFERED // CALLERS):
            time.sleep(max(0.0, began + turn * SECONDS * CALLERS / OFFERED - time.monotonic()))
            if status(replicas[number % 2], key) == 200:
                admitted.append(time.monotonic())
            else:
                refused += 1
        return refused

    with ThreadPoolExecutor(CALLERS) as threads:
        refused = sum(threads.map(caller, range(CALLERS)))
    assert len(admitted) + refused == OFFERED
    assert abs(len(admitted) - 2 * RATE) <= 2 * RATE / 100
    admitted.sort()
    # Half a second for the calls of which the reply took longer than that of others.
    assert max(sum(at <= later < at + 59.5 for later in admitted) for at in admitted) <= RATE * 1.01
