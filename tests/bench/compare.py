"""What serving costs in this checkout, alone or in turn with another one: CPU time per token and call, and latency.

`make bench-compare` runs it, with `BASE=COMMIT` beside that commit. The two take turns, so that whatever else the
machine does hits both, and each begins every other round; every figure is the median of the rounds, with the lowest and
the highest. Every streamed token is checked.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.bench import load
from tests.bench.machine import describe
from tests.bench.serving import BURST, CALLERS, OUTPUT, PARTS, PROMPT, SETTINGS, cpu_of, run, used_since
from tests.support.http import post
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PACE = 50  # tokens/s per stream
STREAMS = 128
TOKENS = 300  # per stream
CALLS = 2000
SINGLE_CALLS = 100


@dataclass(frozen=True, slots=True)
class Round:
    """One round of one checkout."""

    cpu_per_token: Mapping[str, float]  # µs by process, `STREAMS` streams at `PACE`, whole calls
    cpu_per_call: Mapping[str, float]  # µs by process, calls of one token by `CALLERS` callers
    ttft: float  # ms, median of single calls
    burst_ttft: float  # ms, median of `BURST` calls at once


class OtherService(Service):
    """The service of another checkout."""

    def __init__(self, checkout: Path, **settings: object) -> None:
        super().__init__(None, **settings)
        self._checkout = checkout

    def launched(self, output: BinaryIO) -> subprocess.Popen[bytes]:
        """Start the process of that checkout, which prints to `output`."""
        command = [str(self._checkout / ".venv" / "bin" / "python"), "-m", "services", "up"]
        return subprocess.Popen(  # noqa: S603 - the command is our own
            command, env=self.environ, stdout=output, stderr=output, cwd=self._checkout
        )


def main() -> None:
    """Measure, print the table, and write down every round."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.compare", description=__doc__)
    parser.add_argument("base", type=Path, nargs="?", help="another checkout that is set up")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    base = {} if arguments.base is None else {"base": arguments.base.resolve()}
    checkouts = base | {"here": Path.cwd()}
    rounds: dict[str, list[Round]] = {name: [] for name in checkouts}
    console = Console()
    with Progress(console=console) as progress:
        task = progress.add_task("measuring", total=len(checkouts) * arguments.rounds)
        for number in range(arguments.rounds):
            for name in sorted(checkouts, reverse=number % 2 == 1):
                rounds[name].append(_round(checkouts[name]))
                progress.advance(task)
    console.print(", ".join([*describe().values(), f"{arguments.rounds} rounds in turn"]))
    console.print(_table(rounds))
    OUTPUT.mkdir(parents=True, exist_ok=True)
    result = {"machine": describe(), **{name: [asdict(each) for each in done] for name, done in rounds.items()}}
    (OUTPUT / "compare.json").write_text(json.dumps(result, indent=2) + "\n")


def _round(checkout: Path) -> Round:
    with OtherService(checkout, **SETTINGS, simulated_rate=PACE) as service:
        expected = post(service.url + load.CHAT, load.body(PROMPT, TOKENS, stream=False)).json()
        before = cpu_of(service)
        streams = run(load.stream_many(service.port, load.body(PROMPT, TOKENS), STREAMS))
        tokens = used_since(before, service)
        load.check(streams, expected["choices"][0]["message"]["content"], TOKENS)
    with OtherService(checkout, **SETTINGS, simulated_rate=0) as service:
        one = load.body(PROMPT, 1)
        run(load.stream_by_callers(service.port, one, CALLERS, 10 * CALLERS))  # warms up
        before = cpu_of(service)
        run(load.stream_by_callers(service.port, one, CALLERS, CALLS))
        calls = used_since(before, service)
        single = run(load.stream_in_turn(service.port, one, SINGLE_CALLS))
        burst = run(load.stream_many(service.port, one, BURST))
    return Round(
        {part: 1e6 * seconds / (STREAMS * TOKENS) for part, seconds in tokens.items()},
        {part: 1e6 * seconds / CALLS for part, seconds in calls.items()},
        1e3 * statistics.median(answer.ttft for answer in single),
        1e3 * statistics.median(answer.ttft for answer in burst),
    )


def _cpu(kind: str, part: str, each: Round) -> float:
    values: Mapping[str, float] = getattr(each, kind)
    return values[part]


def _table(rounds: Mapping[str, Sequence[Round]]) -> Table:
    table = Table(title="median (lowest to highest)")
    has_base = len(rounds) > 1
    for heading in ("", *rounds, *(["ratio"] if has_base else [])):
        table.add_column(heading, justify="right")
    figures: list[tuple[str, Callable[[Round], float]]] = [
        *((f"{part}, µs per token", partial(_cpu, "cpu_per_token", part)) for part in PARTS),
        ("all, µs per token", lambda each: sum(each.cpu_per_token.values())),
        *((f"{part}, µs per call", partial(_cpu, "cpu_per_call", part)) for part in PARTS),
        ("all, µs per call", lambda each: sum(each.cpu_per_call.values())),
        ("first token of one call, ms", lambda each: each.ttft),
        (f"first token of {BURST} at once, ms", lambda each: each.burst_ttft),
    ]
    for name, figure in figures:
        values = {side: sorted(figure(each) for each in done) for side, done in rounds.items()}
        medians = {side: statistics.median(found) for side, found in values.items()}
        cells = [f"{medians[side]:.1f} ({found[0]:.1f} to {found[-1]:.1f})" for side, found in values.items()]
        table.add_row(name, *cells, *([f"{medians['here'] / medians['base']:.2f}"] if has_base else []))
    return table


if __name__ == "__main__":
    began = time.monotonic()
    main()
    sys.stdout.write(f"in {time.monotonic() - began:.0f} s\n")
