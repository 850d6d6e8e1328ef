"""What serving costs: CPU time per token and call, latency and memory, on a simulated engine behind the real parts.

`make bench` runs it and writes a table, `build/bench/serving.json` and `build/bench/serving.png`. Every answer is
checked token by token. CPU time is user and system time of a part's process; the load generator runs beside the parts,
so wall-clock figures are those of a machine that it shares.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop
from rich.console import Console
from rich.progress import Progress

from tests.bench import load
from tests.bench.machine import describe
from tests.bench.plot import plot
from tests.bench.report import print_report
from tests.support.http import post
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

OUTPUT = Path("build/bench")
PACE = 50  # tokens/s per stream
PACED_STREAMS = (1, 16, 64, 128, 256, 512)
PACED_TOKENS = 300
FLAT_OUT_STREAMS = (16, 64, 256)
FLAT_OUT_TOKENS = 1000
SINGLE_CALLS = 200
CALLERS = 32
PREPARED_CALLS = (512, 1024, 2048)
BURST = 256
IDLE_STREAMS = 2048
# About 200 tokens with the template around it.
PROMPT = "Tell me what runners carried across the mountains, and how. " * 9
PARTS = ("server", "edge", "envoy")
SETTINGS: dict[str, Any] = {
    "engine": "simulated",
    "parallel": 4096,
    "max_queue": 4096,
    "log_level": "info",
    "api_keys": "",
}


@dataclass(frozen=True, slots=True)
class Run:
    """One load. CPU in microseconds per token by part; times in milliseconds."""

    name: str
    streams: int
    tokens: int  # per stream
    cpu_per_token: dict[str, float]
    tokens_per_second: float
    tokens_per_event: float
    ttft_p50: float
    ttft_p99: float
    gap_p50: float
    gap_p99: float


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one token. CPU in microseconds per call by part; times in milliseconds."""

    cpu_per_call: dict[str, float]  # with `CALLERS` callers
    ttft_p50: float  # one caller
    ttft_p99: float
    grpc_ttft_p50: float  # one caller over gRPC, through Envoy as well
    grpc_ttft_p99: float
    burst_ttft_p50: float
    burst_ttft_p99: float


@dataclass(frozen=True, slots=True)
class Preparation:
    """What calls spend on validation, template and tokeniser when so many come at once; milliseconds."""

    calls: int
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Idle:
    """What an open, silent stream holds in each part, in kilobytes."""

    streams: int
    kilobytes_per_stream: dict[str, float]


def main() -> None:
    """Measure everything, print it and write it down."""
    console = Console()
    total = len(PACED_STREAMS) + len(FLAT_OUT_STREAMS) + len(PREPARED_CALLS) + 3
    with Progress(console=console) as progress:
        task = progress.add_task("measuring", total=total)

        def advance() -> None:
            progress.advance(task)

        with Service(**SETTINGS, simulated_rate=PACE) as service:
            paced = [_loaded(service, "paced", streams, PACED_TOKENS, advance) for streams in PACED_STREAMS]
        with Service(**SETTINGS, simulated_rate=0) as service:
            flat_out = [_loaded(service, "flat out", streams, FLAT_OUT_TOKENS, advance) for streams in FLAT_OUT_STREAMS]
            calls = _calls(service)
            advance()
            preparations = [_preparation(service, count, advance) for count in PREPARED_CALLS]
        with Service(**SETTINGS, simulated_rate=PACE, simulated_shape="call") as service:
            per_call = [_loaded(service, "paced, a wake-up per call", 128, PACED_TOKENS, advance)]
        with Service(**SETTINGS, simulated_rate=0.02, keep_alive=3600) as service:
            idle = _idle(service)
            advance()
    result = {
        "machine": describe(),
        "pace": PACE,
        "burst": BURST,
        "callers": CALLERS,
        "loads": [asdict(run) for run in (*paced, *per_call, *flat_out)],
        "calls": asdict(calls),
        "preparation": [asdict(preparation) for preparation in preparations],
        "idle": asdict(idle),
    }
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "serving.json").write_text(json.dumps(result, indent=2) + "\n")
    plot(result, OUTPUT / "serving.png")
    print_report(result, console)
    console.print(f"{OUTPUT / 'serving.json'} and {OUTPUT / 'serving.png'} are written.")


def _loaded(service: Service, name: str, streams: int, tokens: int, advance: Callable[[], None]) -> Run:
    """Run so many streams at once and check what they got."""
    request = load.body(PROMPT, tokens)
    expected = post(service.url + load.CHAT, load.body(PROMPT, tokens, stream=False)).json()
    before, began = cpu_of(service), time.perf_counter()
    answers = run(load.stream_many(service.port, request, streams))
    seconds = max(answer.arrivals[-1] for answer in answers) - began
    used = used_since(before, service)
    load.check(answers, expected["choices"][0]["message"]["content"], tokens)
    delivered = streams * tokens
    events = sum(len(answer.arrivals) for answer in answers)
    gaps = [b - a for answer in answers for a, b in zip(answer.arrivals, answer.arrivals[1:], strict=False)]
    ttfts = [answer.ttft for answer in answers]
    advance()
    return Run(
        name=name,
        streams=streams,
        tokens=tokens,
        cpu_per_token={part: 1e6 * cpu / delivered for part, cpu in used.items()},
        tokens_per_second=delivered / seconds,
        tokens_per_event=delivered / events,
        ttft_p50=1e3 * statistics.median(ttfts),
        ttft_p99=1e3 * _p99(ttfts),
        gap_p50=1e3 * statistics.median(gaps),
        gap_p99=1e3 * _p99(gaps),
    )


def _calls(service: Service) -> Calls:
    """What a call costs beside its tokens, and how soon its first token is there."""
    request = load.body(PROMPT, 1)
    run(load.stream_in_turn(service.port, request, 20))
    rest = [answer.ttft for answer in run(load.stream_in_turn(service.port, request, SINGLE_CALLS))]
    grpc = run(load.first_tokens_over_grpc(service.target, PROMPT, SINGLE_CALLS))
    before = cpu_of(service)
    run(load.stream_by_callers(service.port, request, CALLERS, SINGLE_CALLS * 10))
    used = used_since(before, service)
    burst = [answer.ttft for answer in run(load.stream_many(service.port, request, BURST))]
    return Calls(
        cpu_per_call={part: 1e6 * cpu / (SINGLE_CALLS * 10) for part, cpu in used.items()},
        ttft_p50=1e3 * statistics.median(rest),
        ttft_p99=1e3 * _p99(rest),
        grpc_ttft_p50=1e3 * statistics.median(grpc),
        grpc_ttft_p99=1e3 * _p99(grpc),
        burst_ttft_p50=1e3 * statistics.median(burst),
        burst_ttft_p99=1e3 * _p99(burst),
    )


def _preparation(service: Service, count: int, advance: Callable[[], None]) -> Preparation:
    """So many calls at once that ask for no token: what is left of them is their preparation."""
    seconds = run(load.preparation_over_grpc(service.target, PROMPT, count))
    advance()
    return Preparation(count, 1e3 * statistics.median(seconds), 1e3 * _p99(seconds))


def _idle(service: Service) -> Idle:
    """Open streams that say nothing, and see what they hold."""

    async def hold() -> dict[str, float]:
        data = json.dumps(load.body("Hello!", 4)).encode()
        head = f"POST {load.CHAT} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\ncontent-type: application/json\r\n"
        message = f"{head}content-length: {len(data)}\r\n\r\n".encode() + data
        streams = []
        for _ in range(IDLE_STREAMS):
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            streams.append((reader, writer))
            writer.write(message)
            # Its first event says that it is open everywhere.
            head_of_answer = await reader.readuntil(b"\r\n\r\n")
            if b" 200 OK" not in head_of_answer:
                raise load.WrongAnswerError((await reader.read()).decode())
            await reader.readuntil(b"\n\n")
        held = _memory(service)
        for _, writer in streams:
            writer.close()
        return held

    # What the first streams of a process hold is there for good, and not theirs.
    post(service.url + load.CHAT, load.body("Hello!", 0, stream=False))
    before = _memory(service)
    held = run(hold())
    return Idle(IDLE_STREAMS, {part: (held[part] - before[part]) / IDLE_STREAMS / 1e3 for part in PARTS})


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine, in a loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def cpu_of(service: Service) -> dict[str, float]:
    """Seconds that each part has worked."""
    return {name: sum(part.cpu_times()[:2]) for name, part in service.parts().items()}


def used_since(before: dict[str, float], service: Service) -> dict[str, float]:
    """CPU seconds of each process since `cpu_of` returned `before`."""
    after = cpu_of(service)
    return {part: after[part] - before[part] for part in PARTS}


def _memory(service: Service) -> dict[str, float]:
    return {name: part.memory_info().rss for name, part in service.parts().items()}


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


if __name__ == "__main__":
    main()
