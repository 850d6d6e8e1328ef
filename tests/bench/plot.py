"""The picture of the serving bench."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt  # after the choice of a back end without a screen

if TYPE_CHECKING:
    from pathlib import Path

_COLOURS = {"server": "#264653", "edge": "#2a9d8f", "envoy": "#e9c46a"}


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
    machine = result["machine"]
    figure.suptitle(f"{machine['processor']}, {machine['cores']} cores, {machine['date']}", fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)
