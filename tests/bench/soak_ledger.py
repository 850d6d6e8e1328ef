"""Whether the ledger has, once and exactly, what callers got and what the server has counted."""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING

from services.accounts.prices.money import PICODOLLARS
from tests.bench.soak_verdict import Check

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

# Prompt and completion tokens, and the estimated cost in USD.
Counted = tuple[int, int, float]

_COST = re.compile(r'^chasqui_cost_USD_total\{.*chasqui_outcome="(\w+)".*\} (\S+)$', re.MULTILINE)


def costs_of(metrics: str) -> dict[str, float]:
    """USD by outcome in the metrics of a server; without those that are nothing."""
    costs: defaultdict[str, float] = defaultdict(float)
    for outcome, value in _COST.findall(metrics):
        costs[outcome] += float(value)
    return {outcome: cost for outcome, cost in costs.items() if cost}


def ledger_check(
    place: Path, answers: Mapping[str, Counted], costs: Mapping[str, float], began: datetime, tokens: Sequence[str]
) -> Check:
    """Compare the ledger with answers by call id, and with the metrics of the server that has run since `began`.

    `tokens` are the ids of the scoped tokens that have made calls, and no others.
    """
    with closing(sqlite3.connect(place)) as database:
        found = database.execute("SELECT call_id, prompt_tokens, completion_tokens, cost FROM calls").fetchall()
        since = database.execute(
            "SELECT outcome, sum(cost) FROM calls WHERE at >= ? AND outcome != 'lost' GROUP BY outcome",
            (f"{began:%Y-%m-%d %H:%M:%S.%f}",),
        ).fetchall()
        [(lost,)] = database.execute("SELECT count(*) FROM calls WHERE outcome = 'lost'").fetchall()
        by_tokens = dict(database.execute("SELECT token, count(*) FROM calls WHERE token != '' GROUP BY token"))
    rows = {call_id: (prompt, completion, cost / PICODOLLARS) for call_id, prompt, completion, cost in found}
    missing = len(answers.keys() - rows.keys())
    wrong = sum(rows.get(call_id, counted) != counted for call_id, counted in answers.items())
    billed = {outcome: cost / PICODOLLARS for outcome, cost in since if cost}
    lines = f"{len(rows):,} rows, {lost} lost, {sum(by_tokens.values()):,} by tokens"
    figure = f"{missing} of {len(answers):,} answers missing, {wrong} wrong; {lines}"
    same = "as in the metrics" if billed == costs else f"{billed} USD, but {dict(costs)} in the metrics"
    passed = bool(answers) and not missing and not wrong and billed == costs and by_tokens.keys() == set(tokens)
    return Check("ledger", f"{figure}; its sums are {same}", passed)
