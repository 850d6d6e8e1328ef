"""Chasqui beside its peers, in the same run: llama.cpp's own HTTP server, the Rust gateway smg, and LiteLLM.

`make bench-peers` runs it and writes a table and `build/bench/peers.json`. llama.cpp's server has the same model,
slots, context and threads; the two take turns, and the ratio is the median over rounds. smg has a worker that speaks
TensorRT-LLM's gRPC protocol; both sides stream at the same pace without a model, and CPU time is compared. LiteLLM is a
proxy in front of Chasqui: only its own CPU time counts.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.bench import load
from tests.bench.machine import describe
from tests.bench.peer_process import Peer
from tests.bench.random_llama import write_random_llama
from tests.bench.serving import OUTPUT, PACE, PROMPT, SETTINGS
from tests.support.service import Service, free_port
from tests.support.tensorrt_llm.release import write_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

STREAMS = (1, 4, 8)
TOKENS = 64
ROUNDS = 5
PARALLEL = 8
CONTEXT = 1024
THREADS = os.cpu_count() or 1
PACED_STREAMS = 128
PACED_TOKENS = 300
PACED_ROUNDS = 3
PEERS_BIN = OUTPUT / "peers-venv/bin"
# The same sampling on both sides, whose defaults differ; and a count of tokens at the end.
OPTIONS: dict[str, Any] = {"temperature": 0, "stream_options": {"include_usage": True}}
Figures = dict[str, dict[str, float]]


def main() -> None:
    """Measure, print and write down."""
    console = Console()
    model = OUTPUT / "random-llama-q8_0.gguf"
    weights = write_random_llama(model)
    result: dict[str, Any] = {"machine": describe(), "weights": weights, "generation": _generation(model, console)}
    console.print(", ".join(result["machine"].values()))
    console.print(_generation_table(result))
    if (PEERS_BIN / "smg").exists() and (PEERS_BIN / "litellm").exists():
        result["serving"] = _serving(console)
        console.print(_serving_table(result["serving"]))
    else:
        console.print(f"smg and LiteLLM are skipped: {PEERS_BIN} has not both, since they could not be installed.")
    path = OUTPUT / "peers.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    console.print(f"{path} is written.")


def _generation(model: Path, console: Console) -> list[dict[str, Any]]:
    """Tokens per second of both, by streams, round by round."""
    port = free_port()
    numbers = (port, PARALLEL, CONTEXT, THREADS)
    command = [sys.executable, "-m", "tests.bench.llama_cpp_server", str(model), *map(str, numbers)]
    peer = Peer(port, "random-llama", {"llama.cpp": command})
    settings: dict[str, Any] = {"engine": "llama-cpp", "model": model, "parallel": PARALLEL, "context_length": CONTEXT}
    rates: dict[int, dict[str, list[float]]] = {count: {"chasqui": [], "llama_cpp": []} for count in STREAMS}
    with Service(**settings, threads=THREADS, log_level="error") as service, peer:
        request = peer.request(PROMPT, TOKENS) | OPTIONS
        sides = {"chasqui": service.port, "llama_cpp": port}
        for side in sides.values():  # every slot has the prompt before it is measured
            _answers(side, request, PARALLEL, TOKENS)
        for number in track(range(ROUNDS), description="llama.cpp", console=console):
            for count in STREAMS:
                # Whoever goes first in one round goes last in the next.
                for name in sorted(sides, reverse=number % 2 == 1):
                    rates[count][name].append(_rate(sides[name], request, count))
    return [
        {"streams": count, **both, "ratio": statistics.median(a / b for a, b in zip(*both.values(), strict=True))}
        for count, both in rates.items()
    ]


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
        request = smg.request(PROMPT, PACED_TOKENS) | OPTIONS
        sides: dict[str, tuple[int, Callable[[], dict[str, float]]]] = {
            "chasqui": (service.port, lambda: _cpu(service)),
            "smg": (smg.port, smg.cpu),
            "litellm": (litellm.port, litellm.cpu),
        }
        for port, _ in sides.values():
            _answers(port, request | {"max_tokens": 1}, PACED_STREAMS, 1)
        for _ in track(range(PACED_ROUNDS), description="smg, LiteLLM", console=console):
            figures: Figures = {}
            for name, (port, cpu) in sides.items():
                before = cpu()
                _answers(port, request, PACED_STREAMS, PACED_TOKENS)
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


def _answers(port: int, request: dict[str, Any], streams: int, tokens: int) -> list[load.Answer]:
    """So many streams at once; WrongAnswerError if one has not all its tokens."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        answers = runner.run(load.stream_many(port, request, streams))
    for answer in answers:
        if answer.completion_tokens != tokens:
            raise load.WrongAnswerError(f"expected {tokens} tokens, got {answer.completion_tokens} {answer.text!r}")
    return answers


def _rate(port: int, request: dict[str, Any], streams: int) -> float:
    """Tokens per second of all streams together, from the first request to the last text."""
    answers = _answers(port, request, streams, TOKENS)
    began = min(answer.arrivals[0] - answer.ttft for answer in answers)
    return streams * TOKENS / (max(answer.arrivals[-1] for answer in answers) - began)


def _cpu(service: Service) -> dict[str, float]:
    """Seconds that each part has worked."""
    return {name: sum(part.cpu_times()[:2]) for name, part in service.parts().items()}


def _per_token(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    tokens = PACED_STREAMS * PACED_TOKENS
    return {name: 1e6 * (after[name] - before[name]) / tokens for name in before}


def _generation_table(result: dict[str, Any]) -> Table:
    title = f"{result['weights'] / 1e6:.0f} M random weights, Q8_0, {TOKENS} tokens per stream, {ROUNDS} rounds"
    table = Table(title=title)
    for heading in ("streams", "Chasqui tokens/s", "llama.cpp's server tokens/s", "ratio, median (min - max)"):
        table.add_column(heading, justify="right")
    for row in result["generation"]:
        ours, theirs = row["chasqui"], row["llama_cpp"]
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        medians = (f"{statistics.median(rates):.1f}" for rates in (ours, theirs))
        table.add_row(str(row["streams"]), *medians, f"{row['ratio']:.2f} ({min(ratios):.2f} - {max(ratios):.2f})")
    return table


def _serving_table(rounds: list[Figures]) -> Table:
    table = Table(title=f"{PACED_STREAMS} streams at {PACE} tokens/s each, median of {PACED_ROUNDS} rounds")
    table.add_column("service")
    table.add_column("CPU µs per token by part", justify="right")
    table.add_column("together", justify="right")
    for side in rounds[0]:
        parts = {part: statistics.median(figures[side][part] for figures in rounds) for part in rounds[0][side]}
        shown = ", ".join(f"{part} {value:.1f}" for part, value in parts.items())
        table.add_row(side, shown, f"{statistics.median(sum(figures[side].values()) for figures in rounds):.1f}")
    for peer in ("smg", "litellm"):
        ratio = statistics.median(sum(figures[peer].values()) / sum(figures["chasqui"].values()) for figures in rounds)
        table.add_row(f"{peer} / chasqui", "", f"{ratio:.2f}")
    return table


if __name__ == "__main__":
    main()
