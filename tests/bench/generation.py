"""Chasqui on llama.cpp beside llama.cpp's own HTTP server: same weights, slots, context, threads and requests.

`make bench-generation` runs it. Its argument is the number of threads that compute; without, each core has one. The two
take turns request by request. What is compared is the median time between two tokens of a stream, which a moment of
other load on the machine does not move, the time to the first token of a prompt that neither has seen, and the time to
the last one; each ratio is the median over rounds, and its spread the quartiles.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
from dataclasses import dataclass
from typing import Any

import uvloop
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.bench import load
from tests.bench.machine import describe
from tests.bench.peer_process import Peer
from tests.bench.random_llama import write_random_llama
from tests.bench.serving import OUTPUT, PROMPT
from tests.support.ports import free_port
from tests.support.service import Service

STREAMS = (1, 4, 8)
TOKENS = 32
ROUNDS = 9
PARALLEL = 8
CONTEXT = 1024
# The same sampling on both sides, whose defaults differ; and a count of tokens at the end.
OPTIONS: dict[str, Any] = {"temperature": 0, "stream_options": {"include_usage": True}}


@dataclass(frozen=True, slots=True)
class Timing:
    """One round of one side: seconds from token to token, to the first token, and to the last."""

    step: float
    first: float
    last: float


Rounds = dict[str, list[Timing]]


def compare(threads: int, console: Console) -> dict[int, Rounds]:
    """Streams -> side -> one timing for each round; the first round warms both up and is left out."""
    model = OUTPUT / "random-llama-q8_0.gguf"
    write_random_llama(model)
    port = free_port()
    numbers = (port, PARALLEL, CONTEXT, threads)
    command = [sys.executable, "-m", "tests.bench.llama_cpp_server", str(model), *map(str, numbers)]
    settings: dict[str, Any] = {"engine": "llama-cpp", "model": model, "parallel": PARALLEL, "context_length": CONTEXT}
    rounds: dict[int, Rounds] = {count: {"chasqui": [], "llama_cpp": []} for count in STREAMS}
    peer = Peer(port, "random-llama", {"llama.cpp": command})
    with Service(**settings, threads=threads, log_level="error") as service, peer:
        sides = {"chasqui": service.port, "llama_cpp": port}
        for number in track(range(ROUNDS + 1), description="llama.cpp", console=console):
            for count in STREAMS:
                request = peer.request(f"{count}, {number}. {PROMPT}", TOKENS) | OPTIONS
                # The order alternates, so that neither side always runs first.
                for name in sorted(sides, reverse=number % 2 == 1):
                    timing = _timing(answers(sides[name], request, count, TOKENS))
                    if number:
                        rounds[count][name].append(timing)
    return rounds


def answers(port: int, request: dict[str, Any], streams: int, tokens: int) -> list[load.Answer]:
    """So many streams at once; WrongAnswerError if one has not all its tokens."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        received = runner.run(load.stream_many(port, request, streams))
    for answer in received:
        if answer.completion_tokens != tokens:
            raise load.WrongAnswerError(f"expected {tokens} tokens, got {answer.completion_tokens} {answer.text!r}")
    return received


def table(rounds: dict[int, Rounds], threads: int) -> Table:
    """What `compare` measured, with a ratio above 1 where Chasqui is faster."""
    shown = Table(
        title=f"195 M random weights, Q8_0, threads: {threads}, {TOKENS} tokens per stream, "
        f"median of {ROUNDS} rounds (quartiles)"
    )
    shown.add_column("streams", justify="right")
    for measured in ("ms per token", "ms to the first", "ms to the last"):
        for heading in (f"{measured}: Chasqui", "llama.cpp", "ratio"):
            shown.add_column(heading, justify="right")
    for count, sides in rounds.items():
        cells = [str(count)]
        for field in ("step", "first", "last"):
            ours, theirs = ([getattr(timing, field) for timing in side] for side in sides.values())
            low, ratio, high = statistics.quantiles([b / a for a, b in zip(ours, theirs, strict=True)], n=4)
            cells += [f"{1000 * statistics.median(times):.1f}" for times in (ours, theirs)]
            cells.append(f"{ratio:.2f} ({low:.2f} - {high:.2f})")
        shown.add_row(*cells)
    return shown


def _timing(received: list[load.Answer]) -> Timing:
    steps = [b - a for answer in received for a, b in zip(answer.arrivals, answer.arrivals[1:], strict=False)]
    firsts = statistics.median(answer.ttft for answer in received)
    # `arrivals` are moments, of which the first came after `ttft`.
    lasts = statistics.median(answer.arrivals[-1] - answer.arrivals[0] + answer.ttft for answer in received)
    return Timing(statistics.median(steps), firsts, lasts)


def main() -> None:
    """Measure and print."""
    console = Console(width=140)
    machine = describe()
    console.print(", ".join(machine.values()))
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else os.cpu_count() or 1
    console.print(table(compare(threads, console), threads))


if __name__ == "__main__":
    main()
