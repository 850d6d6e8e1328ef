"""Prometheus evaluates every rule and panel on a running service, and each alert fires when what it is about happens.

Run by `make test-observability`.
"""

from __future__ import annotations

import json
import resource
import signal
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from openai import OpenAI

from tests.e2e.test_dashboard import KV_CACHE, alerts, panels
from tests.observability.prometheus import OBSERVABILITY, Prometheus
from tests.observability.scraped import ScrapedReplica
from tests.support import valkey
from tests.support.callers import BODY, CHAT
from tests.support.http import open_stream, post
from tests.support.promql import metrics_of
from tests.support.replicas import wait_until
from tests.support.tensorrt_llm.modes import HOPPER, install_gpus
from tests.support.tensorrt_llm.release import write_checkpoint
from tests.support.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = {"authorization": "Bearer key"}
DOUBLE = ("-m", "tests.support.tensorrt_llm.command", "server")


@contextmanager
def watched(folder: Path, **given: Any) -> Iterator[tuple[ScrapedReplica, Prometheus]]:
    """A replica, and a Prometheus that has seen it quiet."""
    with ScrapedReplica(**{"drain_delay": 0, **given}) as replica, Prometheus(folder, replica.targets) as prometheus:
        wait_until(lambda: len(prometheus.query("up == 1")) == len(replica.targets))
        wait_until(lambda: len(prometheus.query("count_over_time(chasqui_ready[3s]) > 3")) == 1)
        assert prometheus.firing() == set()
        yield replica, prometheus


def fires(prometheus: Prometheus, alert: str) -> None:
    wait_until(lambda: alert in prometheus.firing())


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What makes a replica's engine the double of TensorRT-LLM."""
    install_gpus(monkeypatch, tmp_path, HOPPER)
    model = write_checkpoint(tmp_path / "model")
    return {"server": DOUBLE, "engine": "tensorrt-llm", "model": model}


def test_promtool_accepts_the_rules_and_the_configuration(tmp_path: Path) -> None:
    rules = subprocess.run(  # noqa: S603 - installed here
        ["promtool", "check", "rules", "--lint-fatal", f"{OBSERVABILITY}/alerts.yaml"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    assert rules.returncode == 0, rules.stdout + rules.stderr
    config = tmp_path / "prometheus.yaml"
    text = (OBSERVABILITY / "prometheus.yaml").read_text()
    config.write_text(text.replace("/etc/prometheus/alerts.yaml", f"{OBSERVABILITY}/alerts.yaml"))
    checked = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True, check=False)  # noqa: S603, S607
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_rule_and_panel_has_a_value_while_calls_run(tmp_path: Path) -> None:
    given = {"simulated_rate": 100, "accounts": tmp_path / "accounts.db", "api_keys": "key"}
    given["total_limits"] = "usd_per_day=1000"
    short, long = {**BODY, "max_tokens": 20}, {**BODY, "stream": True, "max_tokens": 500}
    with watched(tmp_path, **given) as (replica, prometheus), ThreadPoolExecutor(4) as pool:
        end = time.monotonic() + 8
        while time.monotonic() < end:
            list(pool.map(lambda _: post(replica.url + CHAT, short, **KEY).status, range(4)))
            open_stream(replica.url + CHAT, long, KEY).close()
        empty = [
            title
            for title, expression in panels() + alerts()
            if not prometheus.query(_without_threshold(expression)) and KV_CACHE not in metrics_of(expression)
        ]
        assert empty == []
        assert prometheus.firing() == set()


def _without_threshold(expression: str) -> str:
    """An alert's left side, which has a value whether or not it fires."""
    return expression.partition(" or absent")[0].rsplit(" > ", 1)[0].rsplit(" < ", 1)[0]


def test_not_ready_fires_when_no_server_takes_calls(tmp_path: Path) -> None:
    with watched(tmp_path, grace_period=1, simulated_rate=1) as (replica, prometheus):
        replica.processes["server-0"].kill()
        replica.processes["server-0"].wait()
        fires(prometheus, "NotReady")
        replica.start_server()
        wait_until(lambda: "NotReady" not in prometheus.firing())


def test_engine_stalled_fires_when_an_engine_with_work_does_not_move(tmp_path: Path) -> None:
    with watched(tmp_path, simulated_rate=0.01) as (replica, prometheus), ThreadPoolExecutor(1) as pool:
        pool.submit(post, replica.url + CHAT, BODY, x_request_timeout="40")
        fires(prometheus, "EngineStalled")
        assert prometheus.query("max(chasqui_engine_heartbeat_age_seconds)")[0]["value"][1] > "20"


def test_calls_fail_fires_with_the_first_call_that_fails_by_our_mistake(tmp_path: Path, double: dict[str, Any]) -> None:
    with watched(tmp_path, **{**double, "drain_delay": 4}) as (replica, prometheus), ThreadPoolExecutor(1) as pool:
        failed = pool.submit(post, replica.url + CHAT, {**BODY, "max_tokens": 4000})
        wait_until(lambda: prometheus.query("chasqui_calls_running > 0"))
        replica.processes["server-0"].send_signal(signal.SIGUSR1)
        fires(prometheus, "CallsFail")
        assert failed.result().status == 500


def test_calls_refused_fires_when_the_queue_is_full(tmp_path: Path) -> None:
    given = {"parallel": 1, "max_queue": 0, "simulated_rate": 10}
    with watched(tmp_path, **given) as (replica, prometheus), ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: post(replica.url + CHAT, BODY).status, range(8)))
        fires(prometheus, "CallsRefused")


def test_first_token_slow_fires_when_calls_wait_for_the_engine(tmp_path: Path) -> None:
    given = {"parallel": 1, "simulated_rate": 8}
    with watched(tmp_path, **given) as (replica, prometheus), ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(post, replica.url + CHAT, {**BODY, "max_tokens": 30}) for _ in range(3)]
        fires(prometheus, "FirstTokenSlow")
        assert {answer.result().status for answer in answers} == {200}


def hold_up(process: subprocess.Popen[bytes], times: int) -> None:
    """Stop a process again and again for most of a second."""
    for _ in range(times):
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.7)
        process.send_signal(signal.SIGCONT)
        time.sleep(0.3)


def test_event_loop_busy_fires_when_a_process_does_not_get_to_its_timers(tmp_path: Path) -> None:
    with watched(tmp_path) as (replica, prometheus):
        server = replica.processes["server-0"]
        with ThreadPoolExecutor(1) as pool:
            pool.submit(hold_up, server, 20)
            fires(prometheus, "EventLoopBusy")


def test_kv_cache_full_fires_when_the_engine_reports_it(tmp_path: Path, double: dict[str, Any]) -> None:
    # Of its hundred blocks every running call of the double takes one.
    given = {**double, "parallel": 98, "max_queue": 1000}
    with watched(tmp_path, **given) as (replica, prometheus), ThreadPoolExecutor(98) as pool:
        for _ in range(98):
            pool.submit(post, replica.url + CHAT, {**BODY, "max_tokens": 20_000}, x_request_timeout="30")
        fires(prometheus, "KvCacheFull")


def test_files_run_out_fires_when_a_process_has_few_descriptors_left(tmp_path: Path) -> None:
    with watched(tmp_path) as (replica, prometheus):
        server = replica.processes["server-0"].pid
        used = len(list(Path(f"/proc/{server}/fd").iterdir()))
        resource.prlimit(server, resource.RLIMIT_NOFILE, (used + 4, 4096))
        fires(prometheus, "FilesRunOut")


def test_ledger_in_journal_fires_while_the_database_takes_nothing(tmp_path: Path) -> None:
    place = tmp_path / "accounts.db"
    with watched(tmp_path, accounts=place, api_keys="key") as (replica, prometheus):
        with closing(sqlite3.connect(place, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            post(replica.url + CHAT, BODY, **KEY)
            fires(prometheus, "LedgerInJournal")
            writer.execute("ROLLBACK")
        wait_until(lambda: "LedgerInJournal" not in prometheus.firing())


@pytest.mark.skipif(valkey.program() is None, reason="there is neither Valkey nor Redis on this machine")
def test_budget_nearly_spent_fires_when_calls_have_spent_it(tmp_path: Path) -> None:
    given = {"price": 1000, "simulated_rate": 1000, "total_limits": "usd_per_day=2"}
    with watched(tmp_path, **given) as (replica, prometheus):
        calls = 0
        while post(replica.url + CHAT, {**BODY, "max_tokens": 1}).status == 200:
            calls += 1
        assert calls > 10
        fires(prometheus, "BudgetNearlySpent")


def test_limits_away_fires_while_their_store_is_away(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path) as store:
        given = {"limits_store": store.url, "limits_fail_open": "on"}
        with watched(tmp_path, **given) as (_, prometheus):
            store.kill()
            fires(prometheus, "LimitsAway")


def test_batches_fire_when_their_runner_dies_when_no_line_ends_and_when_their_time_runs_out(tmp_path: Path) -> None:
    place = tmp_path / "accounts.db"
    with (
        watched(tmp_path, accounts=place, api_keys="key") as (replica, prometheus),
        OpenAI(base_url=f"{replica.url}/v1", api_key="key") as owner,
    ):
        replica.processes["batches-0"].kill()
        fires(prometheus, "BatchRunnerDown")
        line = {"custom_id": "a", "method": "POST", "url": CHAT, "body": BODY}
        file = owner.files.create(file=("requests.jsonl", json.dumps(line).encode()), purpose="batch")
        batch = owner.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        fires(prometheus, "BatchesStuck")
        assert "BatchLate" not in prometheus.firing()
        with closing(sqlite3.connect(place)) as writer, writer:
            writer.execute("UPDATE batches SET created_at = datetime(created_at, '-21 hours')")
        fires(prometheus, "BatchLate")
        assert owner.batches.retrieve(batch.id).status == "validating"


def test_every_alert_is_made_to_fire_here() -> None:
    tests, _, _ = Path(__file__).read_text().partition("def test_every_alert_is_made_to_fire_here")
    assert [name for name, _ in alerts() if f'"{name}")' not in tests] == []
