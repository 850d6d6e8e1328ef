"""What telemetry costs: the same loads with traces of every call and metrics, and without; `make bench-telemetry`.

Two services run beside each other and take turns, each as often first, so that both see the same machine; the median
of the rounds counts. The collector is in the process of the load generator. Log lines are written in both.
"""

from __future__ import annotations

import statistics

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.bench import load
from tests.bench.serving import CALLERS, PACE, PACED_TOKENS, PARTS, PROMPT, SETTINGS, cpu_of, run, used_since
from tests.support.http import post
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.ports import free_row
from tests.support.service import Service

ROUNDS = 8
STREAMS = 128
CALLS = 1000

Figures = dict[str, list[float]]


def main() -> None:
    """Measure and print a table."""
    console = Console()
    with Progress(console=console) as progress, OtlpReceiver() as collector:
        task = progress.add_task("measuring", total=2 * ROUNDS)
        exported = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        shown = f"127.0.0.1:{free_row(3)}"
        with (
            Service(**SETTINGS, simulated_rate=PACE) as off,
            Service(exported, **SETTINGS, simulated_rate=PACE, metrics_address=shown) as on,
        ):
            figures: dict[str, tuple[Figures, Figures]] = {"off": ({}, {}), "on": ({}, {})}
            turns = [("off", off), ("on", on)]
            for _ in range(ROUNDS):
                turns.reverse()
                for name, service in turns:
                    _round(service, *figures[name])
                    progress.advance(task)
    table = Table("CPU time", *PARTS, "together")
    for name, (tokens, calls) in figures.items():
        table.add_row(f"per token, {STREAMS} x {PACE} tokens/s, {name}", *_medians(tokens, 1))
        table.add_row(f"per call of one token, {CALLERS} callers, {name}", *_medians(calls, 0))
    console.print(table)


def _round(service: Service, tokens: Figures, calls: Figures) -> None:
    """Add the microseconds of a round, by part."""
    request = load.body(PROMPT, PACED_TOKENS)
    expected = post(service.url + load.CHAT, load.body(PROMPT, PACED_TOKENS, stream=False)).json()
    before = cpu_of(service)
    answers = run(load.stream_many(service.port, request, STREAMS))
    for part, seconds in used_since(before, service).items():
        tokens.setdefault(part, []).append(1e6 * seconds / (STREAMS * PACED_TOKENS))
    load.check(answers, expected["choices"][0]["message"]["content"], PACED_TOKENS)
    before = cpu_of(service)
    run(load.stream_by_callers(service.port, load.body(PROMPT, 1), CALLERS, CALLS))
    for part, seconds in used_since(before, service).items():
        calls.setdefault(part, []).append(1e6 * seconds / CALLS)


def _medians(figures: Figures, digits: int) -> list[str]:
    medians = [statistics.median(figures[part]) for part in PARTS]
    return [f"{value:.{digits}f} µs" for value in (*medians, sum(medians))]


if __name__ == "__main__":
    main()
