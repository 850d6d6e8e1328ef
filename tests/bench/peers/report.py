"""The table of `make bench-peers`."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from rich.table import Table

from tests.bench.peers.contenders import ENGINE
from tests.bench.serving import CALLERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Measured = dict[str, Any]  # one round, as `peers.json` has it


def table(result: Mapping[str, Any]) -> Table:
    """Each contender with medians over the rounds, and in brackets the lowest and the highest."""
    size, rounds = result["size"], result["rounds"]
    load = f"{size['streams']} streams of {size['tokens']} tokens at {result['pace']} tokens/s"
    spread = f"median of {len(rounds['Chasqui'])} rounds (lowest to highest)"
    shown = Table(
        title=f"CPU time per token of {load}, and per call of one token by {CALLERS} callers; {spread}", show_lines=True
    )
    shown.add_column("")
    for heading in ("µs per token by process", "together", "ratio", "µs per call", "ratio", "first token, ms"):
        shown.add_column(heading, justify="right")
    shown.add_column(f"of {size['streams']} at once, ms", justify="right")
    shown.add_column("tokens/s", justify="right")
    for name, done in rounds.items():
        per_token, per_call = ([total(each, kind) for each in done] for kind in ("cpu_per_token", "cpu_per_call"))
        shown.add_row(
            _with_versions(name, result),
            _by_process(done),
            _spread(per_token, 1),
            _ratio(rounds, name, "cpu_per_token"),
            _spread(per_call, 0),
            _ratio(rounds, name, "cpu_per_call"),
            _spread([each["ttft"] for each in done], 1),
            _spread([each["burst_ttft"] for each in done], 0),
            f"{statistics.median(each['tokens_per_second'] for each in done):,.0f}",
        )
    return shown


def total(measured: Measured, kind: str) -> float:
    """Of all processes that count."""
    return float(sum(value for process, value in measured[kind].items() if process != ENGINE))


def _with_versions(name: str, result: Mapping[str, Any]) -> str:
    versions = result["peers"][name]["versions"] if name in result["peers"] else {}
    return "\n".join([name, *(" ".join(each) for each in versions.items())])


def _by_process(done: Sequence[Measured]) -> str:
    """Medians; what stands for a peer's engine in brackets."""
    medians = {
        process: statistics.median(each["cpu_per_token"][process] for each in done)
        for process in done[0]["cpu_per_token"]
    }
    counted = [f"{process} {value:.1f}" for process, value in medians.items() if process != ENGINE]
    return "\n".join(counted + ([f"({ENGINE} {medians[ENGINE]:.1f})"] if ENGINE in medians else []))


def _ratio(rounds: Mapping[str, Sequence[Measured]], name: str, kind: str) -> str:
    """To Chasqui in the same round."""
    pairs = zip(rounds[name], rounds["Chasqui"], strict=True)
    return "" if name == "Chasqui" else _spread([total(each, kind) / total(ours, kind) for each, ours in pairs], 2)


def _spread(values: Sequence[float], decimals: int) -> str:
    low, high = f"{min(values):.{decimals}f}", f"{max(values):.{decimals}f}"
    return f"{statistics.median(values):.{decimals}f}\n({low} to {high})"
