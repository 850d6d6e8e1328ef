"""The dashboard and the alerts ask for metrics and labels that a running service really shows."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.http import get, open_stream, post
from tests.support.ports import free_row
from tests.support.promql import labels_of, metrics_of
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

# Each metric's labels, with the values that they have.
Shown = dict[str, dict[str, set[str]]]
OBSERVABILITY = Path(__file__).parents[2] / "docker" / "observability"
CHAT = "/v1/chat/completions"
# Given by Prometheus to everything that it scrapes.
OF_PROMETHEUS = {"job", "instance"}
# Engines that have a KV cache report it; here only the name is checked.
KV_CACHE = "chasqui_engine_kv_cache_use"
# Prometheus' own, of every target.
NOT_SHOWN = {KV_CACHE, "up"}
PARTS = 4  # server, edge, Envoy and the runner of batches


def panels() -> list[tuple[str, str]]:
    """Each panel's title with each of its expressions."""
    dashboard = json.loads((OBSERVABILITY / "chasqui.json").read_text())
    return [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]


def alerts() -> list[tuple[str, str]]:
    """Each alert's name with its expression."""
    groups = yaml.safe_load((OBSERVABILITY / "alerts.yaml").read_text())["groups"]
    return [(rule["alert"], rule["expr"]) for group in groups for rule in group["rules"]]


class Scraped(NamedTuple):
    """What all parts show before the first call, and after calls that end in different ways."""

    before: Shown
    after: Shown


def scrape(port: int, lacks: Callable[[Shown, str], set[str]]) -> Shown:
    """What all parts show once no expression lacks anything, or after a minute: some show a metric only after a while.

    `lacks` gives what an expression does not find.
    """
    shown: Shown = {}
    end = time.monotonic() + 60
    while any(lacks(shown, expression) for _, expression in panels() + alerts()) and time.monotonic() < end:
        with suppress(OSError):
            pages = [get(f"http://127.0.0.1:{port + part}/metrics").body.decode() for part in range(PARTS)]
            shown = labels_shown("\n".join(pages))
    return shown


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Scraped:
    port = free_row(PARTS)
    place = tmp_path_factory.mktemp("accounts") / "accounts.db"
    key = {"authorization": "Bearer key"}
    given: dict[str, Any] = {
        **{"accounts": place, "api_keys": "key", "total_limits": "usd_per_day=1000"},
        "metrics_address": f"127.0.0.1:{port}",
    }
    body = {"model": REFERENCE_MODEL, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 4}
    with Service(engine="simulated", simulated_rate=50, **given) as service:
        before = scrape(port, unset)
        post(service.url + CHAT, body, **key)
        post(service.url + CHAT, {**body, "temperature": -1}, **key)
        gone = {"x-request-id": "gone", **key}
        open_stream(service.url + CHAT, {**body, "stream": True, "max_tokens": 500, "ignore_eos": True}, gone).close()
        service.usage_record("gone")
        return Scraped(before, scrape(port, missing))


def labels_shown(text: str) -> Shown:
    found: Shown = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", text, flags=re.MULTILINE):
        metric = found.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels):
            metric.setdefault(label, set()).add(value)
    return found


@pytest.mark.parametrize(("title", "expression"), panels() + alerts())
def test_an_expression_asks_for_what_there_is(scraped: Scraped, title: str, expression: str) -> None:
    assert metrics_of(expression)
    assert missing(scraped.after, expression) == set()


def missing(shown: Shown, expression: str) -> set[str]:
    """The metrics and labels of an expression that are not shown."""
    names = metrics_of(expression)
    known = OF_PROMETHEUS.union(*(shown.get(name, {}) for name in names))
    return (names - NOT_SHOWN - set(shown)) | (labels_of(expression) - known)


@pytest.mark.parametrize(("title", "expression"), panels() + alerts())
def test_what_an_expression_counts_is_at_zero_before_the_first_call(
    scraped: Scraped, title: str, expression: str
) -> None:
    assert unset(scraped.before, expression) == set()


def unset(shown: Shown, expression: str) -> set[str]:
    """The metrics of an expression, and the outcomes that it counts, that are not shown."""
    counted = re.findall(r'(\w+)\{chasqui_outcome="(\w+)"\}', expression)
    outcomes = {word for name, word in counted if word not in shown.get(name, {}).get("chasqui_outcome", ())}
    return (metrics_of(expression) - NOT_SHOWN - set(shown)) | outcomes


def test_the_operator_s_questions_have_a_row_each() -> None:
    dashboard = json.loads((OBSERVABILITY / "chasqui.json").read_text())
    rows = [panel["title"] for panel in dashboard["panels"] if panel["type"] == "row"]
    assert rows == [
        *("Is it slow?", "Where is the time?", "For whom?", "What does it cost?", "Is it about to fail?"),
        "Who is at a limit, and is every call in the ledger?",
        "Does each service tier get what it pays for?",
        "Do batches get on, and do other calls wait for them?",
    ]


def test_panels_do_not_cover_each_other() -> None:
    dashboard = json.loads((OBSERVABILITY / "chasqui.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
