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
# The processes of peers: a worker does what our server does, a gateway or proxy what our edge does.
_PEERS_COLOURS: Final = {**_COLOURS, "worker": "#264653", "smg": "#f4a261", "proxy": "#e76f51"}


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
    """Medians over the rounds and their spread: llama.cpp's server by time per token, the others by CPU time."""
    figure, (generation, *serving) = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    for number, (side, label) in enumerate((("chasqui", "Chasqui"), ("llama_cpp", "llama.cpp's own server"))):
        for position, sides in enumerate(result["generation"].values()):
            steps = [1e3 * timing["step"] for timing in sides[side]]
            parts = [(label if position == 0 else "", ("#264653", "#f4a261")[number], steps)]
            _bar(generation, position + (number - 0.5) * 0.4, parts, 0.38)
    generation.set_xticks(range(len(result["generation"])), [str(count) for count in result["generation"]])
    generation.set_title("from token to token, llama.cpp with the same weights", fontsize=10)
    generation.set_ylabel("ms")
    generation.set_xlabel("streams")
    _legend(generation)
    rounds = result.get("serving", [])  # without smg and LiteLLM there are none
    for axes, peer in zip(serving if rounds else (), ("smg", "litellm"), strict=bool(rounds)):
        for position, side in enumerate(("chasqui", peer)):
            parts = [(part, _PEERS_COLOURS[part], [each[side][part] for each in rounds]) for part in rounds[0][side]]
            _bar(axes, position, parts, 0.6)
        axes.set_xticks((0, 1), ("Chasqui", peer))
        axes.set_title("CPU time per token, 128 streams without a model", fontsize=10)
        axes.set_ylabel("µs")
        _legend(axes)
    _save(figure, result["machine"], path)


def _bar(axes: Axes, position: float, parts: Sequence[tuple[str, str, list[float]]], width: float) -> None:
    """Medians of parts (name, colour, one value per round) on each other, and the lowest and highest sum."""
    below = 0.0
    for name, colour, values in parts:
        height = statistics.median(values)
        axes.bar(position, height, width, bottom=below, color=colour, label=name or None)
        below += height
    sums = [sum(each) for each in zip(*(values for _, _, values in parts), strict=True)]
    spread = [[max(below - min(sums), 0.0)], [max(max(sums) - below, 0.0)]]
    axes.errorbar(position, below, spread, color="black", capsize=3, linewidth=1)
    axes.annotate(f"{below:.0f}", (position, max(sums)), ha="center", va="bottom", fontsize=9)


def _legend(axes: Axes) -> None:
    """Above the bars."""
    axes.set_ylim(top=1.5 * axes.get_ylim()[1])
    axes.legend(loc="upper left")


def _save(figure: Figure, machine: dict[str, str], path: Path) -> None:
    figure.suptitle(f"{machine['processor']}, {machine['cores']} cores, {machine['date']}", fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)
