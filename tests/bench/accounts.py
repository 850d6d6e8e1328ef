"""What accounts cost: calls with a key, limits and the ledger in SQLite, and calls without any; `make bench-accounts`.

Two services run beside each other and take turns, many and short ones, each as often first, so that both see the same
machine. What accounts cost is the difference of two turns in a row: the median of all such pairs, and between which
values half of them are. Then its parts, each by itself.
"""

from __future__ import annotations

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
from tests.bench.accounts_parts import parts
from tests.bench.serving import CALLERS, PARTS, PROMPT, SETTINGS, run
from tests.support.http import post
from tests.support.service import Service

ROUNDS = 40
CALLS = 512
LIMITS = ("--calls-per-minute", "1000000", "--tokens-per-minute", "900000000", "--usd-per-day", "1000")


def main() -> None:
    """Measure and print a table."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder, Progress(console=console) as progress:
        task = progress.add_task("measuring", total=2 * (ROUNDS + 1))
        place = str(Path(folder) / "accounts.db")
        made = CliRunner().invoke(chasqui, ["keys", "create", "bench", *LIMITS], env={"CHASQUI_ACCOUNTS": place})
        key = made.stdout.strip()
        with (
            Service(**SETTINGS, simulated_rate=0) as off,
            Service(**SETTINGS, simulated_rate=0, accounts=place) as on,
        ):
            figures: dict[str, list[dict[str, float]]] = {"off": [], "on": []}
            turns = [("off", off), ("on", on)]
            for number in range(ROUNDS + 1):
                turns.reverse()
                for name, service in turns:
                    measured = _round(service, key)
                    if number:  # the first round warms up
                        figures[name].append(measured)
                    progress.advance(task)
    console.print(_table(figures))
    for part, values in parts().items():
        console.print(f"{part}, by itself in one process: {_spread(values)} µs of CPU per call")


def _table(figures: dict[str, list[dict[str, float]]]) -> Table:
    """CPU per call by part, and seconds of a turn: medians, and the quartiles of the difference."""
    table = Table(f"{CALLS} calls of one token, {CALLERS} callers", *(f"{part}, CPU µs" for part in PARTS), "seconds")
    for name, rounds in figures.items():
        cpu = [statistics.median(one[part] for one in rounds) for part in PARTS]
        seconds = statistics.median(one["seconds"] for one in rounds)
        table.add_row(f"accounts {name}", *(f"{1e6 * value / CALLS:.0f}" for value in cpu), f"{seconds:.3f}")
    pairs = list(zip(figures["off"], figures["on"], strict=True))
    more = [[1e6 * (on[part] - off[part]) / CALLS for off, on in pairs] for part in PARTS]
    slower = [100 * (on["seconds"] / off["seconds"] - 1) for off, on in pairs]
    table.add_row("difference", *map(_spread, more), f"{_spread(slower)} %")
    return table


def _spread(values: list[float]) -> str:
    low, median, high = statistics.quantiles(values, n=4)
    return f"{median:.0f} ({low:.0f} to {high:.0f})"


def _round(service: Service, key: str) -> dict[str, float]:
    """The CPU seconds of a round by part, and how long it took."""
    request = load.body(PROMPT, 1)
    assert post(service.url + load.CHAT, request, authorization=f"Bearer {key}").status == 200
    before, began = _cpu(service), time.monotonic()
    run(load.stream_by_callers(service.port, request, CALLERS, CALLS, key))
    seconds = time.monotonic() - began
    time.sleep(0.5)  # the ledger's last batch is among the costs
    return {**{part: used - before[part] for part, used in _cpu(service).items()}, "seconds": seconds}


def _cpu(service: Service) -> dict[str, float]:
    """Seconds of user and system time by part."""
    processes = service.parts()
    return {part: _seconds(processes[part].pid) for part in PARTS}


def _seconds(pid: int) -> float:
    """CPU time of a process by the kernel's clock of it, clock_getcpuclockid(3): to the nanosecond, not to the tick."""
    return time.clock_gettime((~pid << 3) | 2)


if __name__ == "__main__":
    main()
