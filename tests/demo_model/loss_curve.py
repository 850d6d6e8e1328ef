"""Draws the loss of every step, and its running mean, into a PNG."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl


def draw(losses: Sequence[float], path: Path) -> None:
    """Writes the plot; the mean runs over 50 steps."""
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    axes.plot(losses, linewidth=0.4, alpha=0.5, label="each step")
    means = [sum(losses[max(0, end - 50) : end]) / min(50, end) for end in range(1, len(losses) + 1)]
    axes.plot(means, linewidth=1.4, label="mean of 50 steps")
    axes.set(xlabel="step", ylabel="cross-entropy of the assistant's tokens (nats)", yscale="log")
    axes.legend()
    axes.grid(visible=True, which="both", alpha=0.3)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    pyplot.close(figure)
