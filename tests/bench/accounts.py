"""What accounts cost: calls with a key, limits and the ledger in SQLite, and calls without any; `make bench-accounts`.

Two services run beside each other and take turns, each as often first, so that both see the same machine. What accounts
cost is the difference of two turns in a row: of all such pairs the mean of the middle half, with the interval in which
that is with 95 % confidence. A turn has many calls, since a virtual machine may charge for every page of memory that
nobody has touched for a while: short turns with pauses would measure that. Bursts of many calls at once take turns as
well, at first. Then the chat server in one process, without gRPC, which other load on the machine disturbs less; and
what limits and ledger take by themselves.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path

from click.testing import CliRunner
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from services.cli import main as chasqui
from tests.bench import load
from tests.bench.accounts_loop import loop_costs
from tests.bench.accounts_parts import parts
from tests.bench.serving import CALLERS, PARTS, PROMPT, SETTINGS, run
from tests.support.http import post
from tests.support.service import Service

ROUNDS = 60
CALLS = 1600
BURSTS = 40
BURST_CALLS = 2000
# Of a turn, before and after its calls: the ledger's last batch is among the costs.
PAUSE_SECONDS = 0.6
LOOP = "event loop"
OTHERS = "other threads"
LIMITS = ("--calls-per-minute", "1000000", "--tokens-per-minute", "900000000", "--usd-per-day", "1000")


def main() -> None:
    """Measure and print a table."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder, Progress(console=console) as progress:
        task = progress.add_task("measuring", total=2 * (ROUNDS + 1 + BURSTS))
        place = str(Path(folder) / "accounts.db")
        made = CliRunner().invoke(chasqui, ["keys", "create", "bench", *LIMITS], env={"CHASQUI_ACCOUNTS": place})
        key = made.stdout.strip()
        with (
            Service(**SETTINGS, simulated_rate=0) as off,
            Service(**SETTINGS, simulated_rate=0, accounts=place) as on,
        ):
            figures: dict[str, list[dict[str, float]]] = {"off": [], "on": []}
            bursts: dict[str, list[float]] = {"off": [], "on": []}
            turns = [("off", off), ("on", on)]
            for number in range(BURSTS + 1):
                turns.reverse()
                for name, service in turns:
                    seconds = _burst(service, key)
                    if number:  # the first ones warm up
                        bursts[name].append(seconds)
                    progress.advance(task)
            for _ in range(ROUNDS):
                turns.reverse()
                for name, service in turns:
                    figures[name].append(_round(service, key))
                    progress.advance(task)
    console.print(_table(figures, bursts))
    console.print(f"difference by thread of the chat server: {_threads(figures)}")
    more, others = loop_costs(LIMITS)
    for name, values in more.items():
        console.print(f"event loop in one process, {name}: {_confident(values)} µs of CPU per call more than without")
    console.print(f"other threads in one process: {others:.0f} µs of CPU per call")
    for part, values in parts().items():
        console.print(f"{part}, by itself in one process: {_confident(values)} µs of CPU per call")


def _table(figures: dict[str, list[dict[str, float]]], bursts: dict[str, list[float]]) -> Table:
    """CPU per call by part, and seconds of a turn and of a burst: the middle, and that of the differences of pairs."""
    table = Table(
        f"{CALLS} calls of one token, {CALLERS} callers, {ROUNDS} turns",
        *(f"{part}, CPU µs" for part in PARTS),
        "seconds",
        f"{BURST_CALLS} calls at once, {BURSTS} turns, seconds",
    )
    for name, rounds in figures.items():
        cpu = [_middle([one[part] for one in rounds]) for part in PARTS]
        seconds = _middle([one["seconds"] for one in rounds])
        shown = (*(f"{1e6 * value / CALLS:.0f}" for value in cpu), f"{seconds:.3f}", f"{_middle(bursts[name]):.2f}")
        table.add_row(f"accounts {name}", *shown)
    pairs = list(zip(figures["off"], figures["on"], strict=True))
    more = [[1e6 * (on[part] - off[part]) / CALLS for off, on in pairs] for part in PARTS]
    slower = [100 * (on["seconds"] / off["seconds"] - 1) for off, on in pairs]
    slower_bursts = [100 * (on / off - 1) for off, on in zip(bursts["off"], bursts["on"], strict=True)]
    table.add_row("difference", *map(_confident, more), f"{_confident(slower)} %", f"{_confident(slower_bursts)} %")
    return table


def _threads(figures: dict[str, list[dict[str, float]]]) -> str:
    """Of the chat server's difference, which threads it is; means, since the kernel counts threads in ticks."""
    more = {
        name: statistics.fmean(
            1e6 * (on[name] - off[name]) / CALLS for off, on in zip(figures["off"], figures["on"], strict=True)
        )
        for name in (LOOP, OTHERS)
    }
    return ", ".join(f"{name} {value:.0f} µs" for name, value in more.items())


def _middle(values: list[float]) -> float:
    """The mean of the middle half."""
    cut = len(values) // 4
    return statistics.fmean(sorted(values)[cut : len(values) - cut])


def _confident(values: list[float]) -> str:
    """The middle, and the 95 % interval of it by resampling."""
    chance = random.Random(0)  # noqa: S311 - resampling
    again = sorted(_middle(chance.choices(values, k=len(values))) for _ in range(1000))
    return f"{_middle(values):.1f} ({again[25]:.1f} to {again[-26]:.1f})"


def _round(service: Service, key: str) -> dict[str, float]:
    """The CPU seconds of a turn by part, those of the server's threads, and how long it took."""
    request = load.body(PROMPT, 1)
    assert post(service.url + load.CHAT, request, authorization=f"Bearer {key}").status == 200
    time.sleep(PAUSE_SECONDS)
    before, began = _cpu(service), time.monotonic()
    run(load.stream_by_callers(service.port, request, CALLERS, CALLS, key))
    seconds = time.monotonic() - began
    time.sleep(PAUSE_SECONDS)
    return {**{part: used - before[part] for part, used in _cpu(service).items()}, "seconds": seconds}


def _burst(service: Service, key: str) -> float:
    """Seconds until so many calls at once are answered."""
    request = load.body(PROMPT, 1)
    # The edge then knows the key, which it asks the server for at most every 5 s.
    assert post(service.url + load.CHAT, request, authorization=f"Bearer {key}").status == 200
    began = time.monotonic()
    run(load.stream_by_callers(service.port, request, BURST_CALLS, BURST_CALLS, key))
    seconds = time.monotonic() - began
    time.sleep(PAUSE_SECONDS)
    return seconds


def _cpu(service: Service) -> dict[str, float]:
    """Seconds of user and system time by part, and of the server's event loop and its other threads."""
    processes = service.parts()
    used = {part: _seconds(processes[part].pid) for part in PARTS}
    server = processes["server"].pid
    threads = {thread.id: thread.user_time + thread.system_time for thread in processes["server"].threads()}
    loop = threads.pop(server)
    return {**used, LOOP: loop, OTHERS: sum(threads.values())}


def _seconds(pid: int) -> float:
    """CPU time of a process by the kernel's clock of it, clock_getcpuclockid(3): to the nanosecond, not to the tick."""
    return time.clock_gettime((~pid << 3) | 2)


if __name__ == "__main__":
    main()
