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
        f"A call of one token costs {_parts(calls['cpu_per_call'])} µs of CPU with {result['callers']} callers. "
        f"Its first token is there after {_percentiles(calls, 'ttft')} (p50 / p99) for a single caller, over gRPC "
        f"after {_percentiles(calls, 'grpc_ttft')}, and of {result['burst']} calls at once after "
        f"{_percentiles(calls, 'burst_ttft')}."
    )
    for preparation in result["preparation"]:
        console.print(
            f"Preparing {preparation['calls']} calls that come at once takes {preparation['p50']:.0f} / "
            f"{preparation['p99']:.0f} ms (p50 / p99) until each is queued."
        )
    held = _parts(idle["kilobytes_per_stream"])
    console.print(f"An open, silent stream holds {held} kB, with {idle['streams']} open.")


def _percentiles(values: dict[str, float], name: str) -> str:
    return f"{values[name + '_p50']:.1f} / {values[name + '_p99']:.1f} ms"


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
