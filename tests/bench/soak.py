"""A soak: mixed traffic on the whole service for minutes or hours, parts killed meanwhile, and a verdict at the end.

`make soak` runs it. In the first half of the time a part is killed in every round; in the second half every process
lives to the end, where a leak would show. After each round nothing runs for a moment, and what the parts hold
is noted. The exit status is 1 if the verdict is bad; `build/bench/soak.json` has everything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import uvloop
from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn
from rich.table import Table

from tests.bench.machine import describe
from tests.bench.soak_ledger import costs_of, ledger_check
from tests.bench.soak_traffic import Traffic
from tests.bench.soak_verdict import Check, Kill, Sample, verdict
from tests.support.holdings import Holdings
from tests.support.http import get
from tests.support.operator import Operator
from tests.support.ports import free_row
from tests.support.service import Service, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

OUTPUT = Path("build/bench/soak.json")
CALLERS = 24
ROUND = 8.0  # seconds of traffic
PARTS = ("server", "edge", "envoy")
TOKENS = ("first", "second")  # the scoped tokens that make calls beside the key
_SETTLE = 60.0
# In this time every row of the ledger is written, unless the machine is busy.
_WRITTEN = 2.0
# How often the parts count their tasks.
_COUNTED = 0.5
_FIGURE = re.compile(r"^chasqui_(calls_running|calls_waiting|event_loop_tasks) ([0-9.]+)$", re.MULTILINE)


@dataclass
class Soak:
    """A service with its metrics, the traffic on it, and what was noted."""

    service: Service
    accounts: Path
    metrics_port: int
    traffic: Traffic
    kills: list[Kill] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    ledger: list[Check] = field(default_factory=list)
    server_since: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def run(self, seconds: float, round_seconds: float, advance: Callable[[float], None]) -> None:
        """Rounds of traffic until the time is over, and every process has been killed once."""
        await self.traffic.learn()
        began, victims, number = time.monotonic(), cycle(PARTS), 0
        while (elapsed := time.monotonic() - began) < seconds or number < len(PARTS):
            calls = asyncio.create_task(self.traffic.run(round_seconds, CALLERS))
            if elapsed < seconds / 2 or number < len(PARTS):
                await asyncio.sleep(round_seconds / 4)
                await self._kill(next(victims))
            await calls
            await self._note(number)
            advance(time.monotonic() - began - elapsed)
            number += 1
        await self.traffic.run_each()
        await self._compare_ledger()

    async def _kill(self, name: str) -> None:
        """Kill a part as the kernel would, and wait until calls get through again."""
        part, killed = self.service.parts()[name], time.monotonic()
        part.kill()
        if name == "server":
            await asyncio.to_thread(part.wait)
            self.server_since = datetime.now(UTC)
        while self.service.parts().get(name, part).pid == part.pid:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
        while not await self.traffic.gets_through():
            if time.monotonic() - killed > _SETTLE:
                raise ServiceError(f"{name} was killed, and nothing gets through: {self.service.output()[-3000:]}")
            await asyncio.sleep(0.02)
        self.kills.append(Kill(name, killed, time.monotonic()))

    async def _note(self, number: int) -> None:
        """What is held when nothing runs."""
        end = time.monotonic() + _SETTLE
        while (busy := await self._busy()) and time.monotonic() < end:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
        if busy:
            self.stuck.append(f"round {number}: {busy:.0f} calls")
        await asyncio.sleep(2 * _COUNTED)
        processes = self.service.parts()
        for place, name in enumerate(PARTS):
            tasks = 0 if name == "envoy" else await self._tasks(place)
            self.samples.append(Sample(name, processes[name].pid, Holdings.of(processes[name]), tasks))

    async def _tasks(self, place: int) -> int:
        """The tasks of a part's event loop, once it has counted them."""
        while "event_loop_tasks" not in (figures := await self._figures(place)):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
        return int(figures["event_loop_tasks"])

    async def _compare_ledger(self) -> None:
        """Once every row is written."""
        await asyncio.sleep(_WRITTEN)
        end = time.monotonic() + _SETTLE
        while not (check := await self._ledger_check()).passed and time.monotonic() < end:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
        self.ledger.append(check)

    async def _ledger_check(self) -> Check:
        shown = await asyncio.to_thread(get, f"http://127.0.0.1:{self.metrics_port}/metrics")
        costs = costs_of(shown.body.decode())
        return ledger_check(self.accounts, self.traffic.counted, costs, self.server_since, TOKENS)

    async def _busy(self) -> float:
        """Calls that run or wait."""
        figures = await self._figures(0)
        return figures["calls_running"] + figures["calls_waiting"]

    async def _figures(self, place: int) -> dict[str, float]:
        """What the metrics of the part at `place` among PARTS say."""
        shown = await asyncio.to_thread(get, f"http://127.0.0.1:{self.metrics_port + place}/metrics")
        return {name: float(value) for name, value in _FIGURE.findall(shown.body.decode())}

    def verdict(self) -> list[Check]:
        """What it has shown."""
        return [*verdict(self.traffic.right, self.traffic.failures, self.kills, self.samples, self.stuck), *self.ledger]

    def report(self, seconds: float) -> dict[str, Any]:
        """Everything, for whoever asks why."""
        return {
            "machine": describe(),
            "seconds": seconds,
            "callers": CALLERS,
            "verdict": [asdict(check) for check in self.verdict()],
            "right": dict(self.traffic.right),
            "failures": [asdict(failure) for failure in self.traffic.failures],
            "kills": [asdict(kill) for kill in self.kills],
            "samples": [asdict(sample) for sample in self.samples],
        }


def soak(seconds: float, round_seconds: float, seed: int, advance: Callable[[float], None]) -> Soak:
    """Run one."""
    port = free_row(4)
    settings: dict[str, Any] = {"engine": "simulated", "simulated_rate": 200, "parallel": 64, "log_level": "warning"}
    with TemporaryDirectory() as folder:
        accounts = Path(folder) / "accounts.db"
        operator = Operator(str(accounts))
        key = operator.run("keys", "create", "soak")
        tokens = [operator.run("keys", "token", key, "--id", name, "--usd", "1000") for name in TOKENS]
        given = {**settings, "accounts": accounts, "response_days": 1, "metrics_address": f"127.0.0.1:{port}"}
        with Service(**given) as service:
            chance = random.Random(seed)  # noqa: S311 - repeatable, guards nothing
            traffic = Traffic(service.port, chance, key, stores=True, tokens=tokens)
            running = Soak(service, accounts, port, traffic)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(running.run(seconds, round_seconds, advance))
    return running


def table(checks: list[Check]) -> Table:
    """The verdict."""
    shown = Table(title="verdict")
    for heading in ("check", "figure", ""):
        shown.add_column(heading)
    for check in checks:
        shown.add_row(check.name, check.figure, "[green]good[/green]" if check.passed else "[red]BAD[/red]")
    return shown


def main() -> None:
    """Soak, print the verdict, write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    console = Console()
    columns = (*Progress.get_default_columns(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("soaking", total=given.seconds)
        done = soak(given.seconds, ROUND, given.seed, lambda seconds: progress.advance(task, seconds))
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(done.report(given.seconds), indent=2) + "\n")
    console.print(", ".join(f"{count:,} {kind}" for kind, count in sorted(done.traffic.right.items())))
    console.print(table(done.verdict()))
    console.print(f"{OUTPUT} is written.")
    sys.exit(0 if all(check.passed for check in done.verdict()) else 1)


if __name__ == "__main__":
    main()
