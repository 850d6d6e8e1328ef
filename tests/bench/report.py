"""The tables of the serving bench."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console


def print_report(result: dict[str, Any], console: Console) -> None:
    """Print what `serving.json` holds."""
    console.print(", ".join(result["machine"].values()))
    console.print(_loads(result))
    calls, idle = result["calls"], result["idle"]
    console.print(
        f"A call of one token costs {_parts(calls['cpu_per_call'])} µs of CPU. Its first token is there after "
        f"{calls['ttft_p50']:.1f} ms (p50), {calls['ttft_p99']:.1f} ms (p99); of {result['burst']} calls at once, "
        f"after {calls['burst_ttft_p50']:.0f} ms (p50), {calls['burst_ttft_p99']:.0f} ms (p99)."
    )
    console.print(
        f"An open, silent stream holds {_parts(idle['kilobytes_per_stream'])} kB, with {idle['streams']} open."
    )


def _loads(result: dict[str, Any]) -> Table:
    table = Table(title=f"streams at {result['pace']} tokens/s each, then as fast as they go")
    for heading in ("streams", "CPU µs per token: server + edge + Envoy", "tokens/s", "tokens per event"):
        table.add_column(heading, justify="right")
    table.add_column("first token ms: p50 / p99", justify="right")
    table.add_column("gap ms: p50 / p99", justify="right")
    for run in result["loads"]:
        table.add_row(
            f"{run['streams']} {run['name']}",
            _parts(run["cpu_per_token"]),
            f"{run['tokens_per_second']:,.0f}",
            f"{run['tokens_per_event']:.1f}",
            f"{run['ttft_p50']:.0f} / {run['ttft_p99']:.0f}",
            f"{run['gap_p50']:.1f} / {run['gap_p99']:.1f}",
        )
    return table


def _parts(values: dict[str, float]) -> str:
    shown = " + ".join(f"{value:.1f}" if value < 100 else f"{value:.0f}" for value in values.values())
    return f"{shown} = {sum(values.values()):.1f}"
