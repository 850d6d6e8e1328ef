"""A siege: every hostile input at once, again and again, beside normal traffic; and a verdict at the end.

`make siege` runs it. The verdict is bad if a call of the normal traffic was lost, late or wrong, if an event loop of
the server or the edge was late, or if a hostile input got another answer than it may. The exit status is 1 then;
`build/bench/siege.json` has everything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import uvloop
from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn

from services.telemetry.event_loop import timer_delay
from tests.bench import hostile_traffic as hostile
from tests.bench.hostile_traffic import HostileTraffic, hostile_traffic
from tests.bench.machine import describe
from tests.bench.soak import table
from tests.bench.soak_traffic import Traffic
from tests.bench.soak_verdict import Check, Lateness, gaps_check, hostile_check, lateness_check, verdict
from tests.support.http import get
from tests.support.ports import free_row
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

OUTPUT = Path("build/bench/siege.json")
KEY = "normal-key"
CALLERS = 8
LONGEST = 4000  # tokens of a hostile answer
RATE = 200  # tokens per second of every answer
PARTS = ("server", "edge")
# Of two histograms, lag and blocked.
_BUCKET = re.compile(r'^chasqui_event_loop_(\w+)_seconds_bucket\{.*?le="([^"]+)".*?\} ([0-9.e+]+)$', re.MULTILINE)


@dataclass
class Siege:
    """A service, the traffic on it, and how late its event loops were by part."""

    metrics_port: int
    traffic: Traffic
    hostile: HostileTraffic
    lateness: dict[str, dict[str, Lateness]] = field(default_factory=dict)
    gaps_alone: list[float] = field(default_factory=list)  # those of the normal traffic before the siege
    reader_late: float = 0.0  # by how much this process was late itself, at most

    async def run(self, seconds: float, advance: Callable[[float], None]) -> None:
        """Both kinds of traffic until the time is over; the hostile one comes from a process of its own.

        Before, the normal one alone for a tenth of that: what the machine makes of it.
        """
        await self.traffic.learn()
        await self.traffic.run(seconds / 10, CALLERS, leaving=False)
        self.gaps_alone, self.traffic.gaps = self.traffic.gaps, []
        watching = asyncio.create_task(self._watch_reader())
        before = [await self._lags(place) for place in range(len(PARTS))]
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            hostile = asyncio.get_running_loop().run_in_executor(
                pool, hostile_traffic, self.hostile.port, self.hostile.longest, seconds
            )
            while not hostile.done():
                began = time.monotonic()
                await self.traffic.run(1.0, CALLERS, leaving=False)
                advance(time.monotonic() - began)
            self.hostile = await hostile
        watching.cancel()
        for place, part in enumerate(PARTS):
            after = await self._lags(place)
            self.lateness[part] = {
                kind: {bound: count - before[place][kind].get(bound, 0) for bound, count in counts.items()}
                for kind, counts in after.items()
            }

    async def _lags(self, place: int) -> dict[str, Lateness]:
        """Timers of a part's event loop by how late they were, and by how late its own process made them."""
        shown = await asyncio.to_thread(get, f"http://127.0.0.1:{self.metrics_port + place}/metrics")
        counts: dict[str, Lateness] = {"lag": {}, "blocked": {}}
        for kind, bound, count in _BUCKET.findall(shown.body.decode()):
            counts[kind][float(bound)] = int(float(count))
        return counts

    async def _watch_reader(self) -> None:
        while True:
            late, _ = await timer_delay(0.02)
            self.reader_late = max(self.reader_late, late)

    def verdict(self, allowance: float, *, strict: bool) -> list[Check]:
        """What it has shown; nothing may be later than `allowance`, in seconds.

        If it is `strict`, what an event loop waited for a CPU counts: the machine must have nothing else to do.
        """
        checks = verdict(self.traffic.right, self.traffic.failures, (), (), ())
        loops = [
            lateness_check(part, counts["lag"], counts["blocked"], allowance, strict=strict)
            for part, counts in self.lateness.items()
        ]
        late = gaps_check(self.traffic.gaps, self.gaps_alone, 1 / RATE + allowance, self.reader_late)
        return [*checks[:2], late, *loops, hostile_check(self.hostile.answered, self.hostile.failures)]

    def report(self, seconds: float, checks: list[Check]) -> dict[str, Any]:
        """Everything, for whoever asks why."""
        return {
            "machine": describe(),
            "seconds": seconds,
            "callers": CALLERS,
            "verdict": [asdict(check) for check in checks],
            "right": dict(self.traffic.right),
            "hostile": dict(self.hostile.answered),
            "failures": [asdict(failure) for failure in (*self.traffic.failures, *self.hostile.failures)],
            "gaps": sorted(self.traffic.gaps),
            "gaps_alone": sorted(self.gaps_alone),
            "lateness": self.lateness,
            "reader_late": self.reader_late,
        }


def siege(seconds: float, longest: int, advance: Callable[[float], None]) -> Siege:
    """Run one, in which hostile answers have at most `longest` tokens."""
    port = free_row(4)
    settings: dict[str, Any] = {"engine": "simulated", "simulated_rate": RATE, "parallel": 64, "log_level": "error"}
    keys = f"{KEY},{hostile.KEY}"
    with TemporaryDirectory() as folder:
        stored: dict[str, Any] = {"accounts": f"{folder}/accounts.db", "response_days": 1}
        metrics = f"127.0.0.1:{port}"
        with Service(**settings, **stored, api_keys=keys, metrics_address=metrics) as service:
            chance = random.Random(0)  # noqa: S311 - repeatable, guards nothing
            normal = Traffic(service.port, chance, KEY, stores=True)
            running = Siege(port, normal, HostileTraffic(service.port, longest))
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(running.run(seconds, advance))
    return running


def main() -> None:
    """Besiege, print the verdict, write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--allowance", type=float, default=0.05, help="seconds by which anything may be late")
    given = parser.parse_args()
    console = Console()
    columns = (*Progress.get_default_columns(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("besieging", total=given.seconds)
        done = siege(given.seconds, LONGEST, lambda seconds: progress.advance(task, seconds))
    checks = done.verdict(given.allowance, strict=True)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(done.report(given.seconds, checks), indent=2) + "\n")
    for kind, count in sorted({**done.traffic.right, **done.hostile.answered}.items()):
        console.print(f"{count:8,} {kind}")
    console.print(table(checks))
    console.print(f"{OUTPUT} is written.")
    sys.exit(0 if all(check.passed for check in checks) else 1)


if __name__ == "__main__":
    main()
