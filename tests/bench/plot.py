"""The pictures of the serving bench and of the peers'."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt  # after the choice of a back end without a screen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS: Final = {"server": "#264653", "edge": "#2a9d8f", "envoy": "#e9c46a"}
# The processes that count; what stands for a peer's engine does not.
_PEERS_COLOURS: Final = {
    **_COLOURS,
    "API server": "#f4a261",
    "detokenizer": "#8ab17d",
    "worker": "#6d597a",
    "gateway": "#b56576",
    "proxy": "#e76f51",
}


def plot(result: dict[str, Any], path: Path) -> None:
    """CPU per token by part, and the time to the first token, over the number of paced streams."""
    # A single stream pays for a message per token alone, ten times as much: beside it the others cannot be told apart.
    runs = [run for run in result["loads"] if run["name"] == "paced" and run["streams"] > 1]
    streams = [str(run["streams"]) for run in runs]
    figure, (cpu, latency) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    below = [0.0] * len(runs)
    for part, colour in _COLOURS.items():
        heights = [run["cpu_per_token"][part] for run in runs]
        cpu.bar(streams, heights, bottom=below, color=colour, label=part if part != "envoy" else "Envoy")
        below = [low + height for low, height in zip(below, heights, strict=True)]
    for position, total in enumerate(below):
        cpu.annotate(f"{total:.0f}", (position, total), ha="center", va="bottom", fontsize=9)
    cpu.set_title(f"CPU time per token, {result['pace']} tokens/s per stream")
    cpu.set_ylabel("µs")
    cpu.set_xlabel("streams")
    cpu.legend()
    for key, label in (("ttft_p50", "p50"), ("ttft_p99", "p99")):
        latency.plot(streams, [run[key] for run in runs], marker="o", label=label)
    latency.set_title("time to the first token when all streams begin at once")
    latency.set_ylabel("ms")
    latency.set_xlabel("streams")
    latency.set_ylim(bottom=0)
    latency.legend()
    _save(figure, result["machine"], path)


def plot_peers(result: dict[str, Any], path: Path) -> None:
    """CPU per token and per call by process, medians over the rounds, with the lowest and the highest sum."""
    size, rounds = result["size"], result["rounds"]
    figure, (tokens, calls) = plt.subplots(1, 2, figsize=(13, 1.6 + 0.5 * len(rounds)), layout="constrained")
    for axes, kind in ((tokens, "cpu_per_token"), (calls, "cpu_per_call")):
        sums = {name: [_counted(each[kind]) for each in done] for name, done in rounds.items()}
        limit = _limit([statistics.median(values) for values in sums.values()])
        for name, done in rounds.items():
            _bar(axes, name, [each[kind] for each in done], sums[name], limit)
        axes.set_xlim(0, limit)
        axes.invert_yaxis()
        axes.set_xlabel("µs")
    tokens.set_title(f"CPU time per token, {size['streams']} streams of {size['tokens']} tokens at {result['pace']}/s")
    calls.set_title("CPU time per call of one token")
    _legend(figure, (tokens, calls))
    _save(figure, result["machine"], path)


def _counted(cpu: dict[str, float]) -> float:
    return sum(value for process, value in cpu.items() if process in _PEERS_COLOURS)


def _limit(sums: list[float]) -> float:
    """The largest value of the axis. A bar over twice as long as the next is cut, so that the others can be read."""
    *_, second, longest = sorted(sums)
    return 1.4 * (second if longest > 2 * second else longest)


def _bar(axes: Axes, name: str, rounds: list[dict[str, float]], sums: list[float], limit: float) -> None:
    """The medians of the processes beside each other, and what they are together."""
    left = 0.0
    for process in rounds[0]:
        if process in _PEERS_COLOURS:
            width = statistics.median(each[process] for each in rounds)
            axes.barh(name, width, left=left, color=_PEERS_COLOURS[process], label=process.replace("envoy", "Envoy"))
            left += width
    middle = statistics.median(sums)
    if middle > limit:
        text = f"{middle:.0f} (cut off)"
        axes.annotate(text, (limit, name), (-6, 0), textcoords="offset points", ha="right", va="center", color="white")
        return
    spread = [[middle - min(sums)], [max(sums) - middle]]
    axes.errorbar(middle, name, xerr=spread, color="black", capsize=3, linewidth=1)
    axes.annotate(
        f"{middle:.0f}", (max(max(sums), left), name), (4, 0), textcoords="offset points", va="center", fontsize=9
    )


def _legend(figure: Figure, all_axes: Sequence[Axes]) -> None:
    """Below the panels, each process once."""
    found = {
        label: handle for axes in all_axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=len(found))


def _save(figure: Figure, machine: dict[str, str], path: Path) -> None:
    figure.suptitle(f"{machine['processor']}, {machine['cores']} cores, {machine['date']}", fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)
