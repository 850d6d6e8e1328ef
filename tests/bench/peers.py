"""Chasqui beside its peers, in the same run: llama.cpp's own HTTP server, the Rust gateway smg, and LiteLLM.

`make bench-peers` runs it and writes tables, `build/bench/peers.json` and `build/bench/peers.png`. llama.cpp's server
has the same model, slots, context and threads. smg has a worker that speaks TensorRT-LLM's gRPC protocol and does
nothing else; both sides stream at the same pace without a model, and CPU time is compared. LiteLLM is a proxy in front
of Chasqui: only its own CPU time counts. All take turns, and what is shown are medians and spreads over the rounds.
"""

from __future__ import annotations

import json
import os
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.bench import generation
from tests.bench.machine import describe
from tests.bench.peer_process import Peer
from tests.bench.plot import plot_peers
from tests.bench.serving import OUTPUT, PACE, PROMPT, SETTINGS
from tests.support.ports import free_port
from tests.support.service import Service
from tests.support.tensorrt_llm.release import write_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

THREADS = os.cpu_count() or 1
PACED_STREAMS = 128
PACED_TOKENS = 300
PACED_ROUNDS = 5
PEERS_BIN = OUTPUT / "peers-venv/bin"
Figures = dict[str, dict[str, float]]


def main() -> None:
    """Measure, print and write down."""
    console = Console()
    rounds = generation.compare(THREADS, console)
    shown = {count: {name: [*map(asdict, side)] for name, side in sides.items()} for count, sides in rounds.items()}
    result: dict[str, Any] = {"machine": describe(), "generation": shown}
    console.print(", ".join(result["machine"].values()))
    console.print(generation.table(rounds))
    if (PEERS_BIN / "smg").exists() and (PEERS_BIN / "litellm").exists():
        result["serving"] = _serving(console)
        console.print(_serving_table(result["serving"]))
    else:
        console.print(f"smg and LiteLLM are skipped: {PEERS_BIN} has not both, since they could not be installed.")
    path = OUTPUT / "peers.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    plot_peers(result, OUTPUT / "peers.png")
    console.print(f"{path} and {OUTPUT / 'peers.png'} are written.")


def _serving(console: Console) -> list[Figures]:
    """CPU in microseconds per token by part of each service, round by round."""
    directory = (OUTPUT / "tokenizer").resolve()
    write_checkpoint(directory)
    rounds: list[Figures] = []
    # smg names the model after the directory of its tokeniser; so does Chasqui here.
    with (
        Service(**SETTINGS, simulated_rate=PACE, model_name=directory) as service,
        _smg(directory) as smg,
        _litellm(service, directory) as litellm,
    ):
        request = smg.request(PROMPT, PACED_TOKENS) | generation.OPTIONS
        sides: dict[str, tuple[int, Callable[[], dict[str, float]]]] = {
            "chasqui": (service.port, lambda: _cpu(service)),
            "smg": (smg.port, smg.cpu),
            "litellm": (litellm.port, litellm.cpu),
        }
        for port, _ in sides.values():
            generation.answers(port, request | {"max_tokens": 1}, PACED_STREAMS, 1)
        for number in track(range(PACED_ROUNDS), description="smg, LiteLLM", console=console):
            figures: Figures = {}
            # Each side is the first in its turn.
            for name in [*sides][number % len(sides) :] + [*sides][: number % len(sides)]:
                port, cpu = sides[name]
                before = cpu()
                generation.answers(port, request, PACED_STREAMS, PACED_TOKENS)
                figures[name] = _per_token(before, cpu())
            rounds.append(figures)
    return rounds


def _smg(directory: Path) -> Peer:
    """The gateway with its worker."""
    port, worker_port, metrics_port = free_port(), free_port(), free_port()
    worker = Path(__file__).with_name("smg_worker.py")
    commands = {
        "worker": [PEERS_BIN / "python", worker, worker_port, directory, PACE],
        "smg": [
            *(PEERS_BIN / "smg", "launch", "--host", "127.0.0.1", "--port", port, "--prometheus-port", metrics_port),
            *("--worker-urls", f"grpc://127.0.0.1:{worker_port}", "--log-level", "warn"),
            *("--model-path", directory, "--tokenizer-path", directory),
        ],
    }
    return Peer(port, str(directory), commands)


def _litellm(service: Service, model: Path) -> Peer:
    """The proxy in front of `service`."""
    port, config = free_port(), OUTPUT / "litellm.yaml"
    upstream = {"model": f"openai/{model}", "api_base": f"{service.url}/v1", "api_key": "none"}
    settings = {"dangerously_permit_weak_or_unset_master_key": True}
    models = [{"model_name": str(model), "litellm_params": upstream}]
    config.write_text(json.dumps({"model_list": models, "general_settings": settings}))  # JSON is YAML, too
    offline = ("env", "LITELLM_LOCAL_MODEL_COST_MAP=True")
    command = [*offline, PEERS_BIN / "litellm", "--config", config, "--host", "127.0.0.1", "--port", port]
    return Peer(port, str(model), {"proxy": command})


def _cpu(service: Service) -> dict[str, float]:
    """Seconds that each part has worked."""
    return {name: sum(part.cpu_times()[:2]) for name, part in service.parts().items()}


def _per_token(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    tokens = PACED_STREAMS * PACED_TOKENS
    return {name: 1e6 * (after[name] - before[name]) / tokens for name in before}


def _serving_table(rounds: list[Figures]) -> Table:
    title = f"{PACED_STREAMS} streams at {PACE} tokens/s each, median of {PACED_ROUNDS} rounds (lowest to highest)"
    table = Table(title=title)
    table.add_column("service")
    for heading in ("CPU µs per token by part", "together", "in multiples of Chasqui's"):
        table.add_column(heading, justify="right")
    for side in sorted(rounds[0]):
        parts = {part: statistics.median(figures[side][part] for figures in rounds) for part in rounds[0][side]}
        shown = ", ".join(f"{part} {value:.1f}" for part, value in parts.items())
        totals = [sum(figures[side].values()) for figures in rounds]
        ratios = [sum(figures[side].values()) / sum(figures["chasqui"].values()) for figures in rounds]
        table.add_row(side, shown, _spread(totals, 1), "" if side == "chasqui" else _spread(ratios, 2))
    return table


def _spread(values: Sequence[float], decimals: int) -> str:
    low, high = f"{min(values):.{decimals}f}", f"{max(values):.{decimals}f}"
    return f"{statistics.median(values):.{decimals}f} ({low} to {high})"


if __name__ == "__main__":
    main()
