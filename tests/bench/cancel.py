"""How soon a caller who goes away frees the engine: milliseconds from leaving until its places are free.

`make bench-cancel` runs it and prints a table for each engine. Envoy and edge are processes of their own; server and
callers share this one and its loop.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop
from rich.console import Console
from rich.table import Table

from services.engine.factory import build_engine
from services.settings import Settings
from tests.bench.machine import describe
from tests.support.front import Front, front
from tests.support.leaving import WAYS
from tests.support.recording_engine import RecordingEngine

if TYPE_CHECKING:
    from tests.support.leaving import Way

ROUNDS = 20
SLOTS = 4
SHAPES: dict[str, dict[str, object]] = {
    "plain": {},
    "logprobs": {"logprobs": True, "top_logprobs": 3},
    "n = 4": {"n": SLOTS},
}
# Long, for its processing to take a while.
FIELDS: dict[str, object] = {
    "model": "meta-llama/Meta-Llama-3.1-8B-Instruct",
    "messages": [{"role": "user", "content": "Tell me of the runners. " * 300}],
    "max_tokens": 900,
    "ignore_eos": True,
}
ENGINES = {
    "simulated, 50 tokens/s": Settings(engine="simulated", parallel=SLOTS, context_length=4096),
    "llama.cpp, demo model": Settings(engine="llama-cpp", parallel=SLOTS, context_length=4096, threads=1),
}


def main() -> None:
    """Measure and print."""
    console = Console()
    console.print(", ".join(describe().values()))
    for name, settings in ENGINES.items():
        with tempfile.TemporaryDirectory(prefix="chasqui-bench-") as directory:
            console.print(asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_table(name, settings, directory)))


async def _table(name: str, settings: Settings, directory: str) -> Table:
    table = Table(title=f"{name}: ms from leaving to free, p50 / longest of {ROUNDS * len(SHAPES)} calls")
    for heading in ("way to leave", "in the queue", "in prefill", "in decode"):
        table.add_column(heading, justify="left" if heading == "way to leave" else "right")
    everything: list[float] = []
    engine = RecordingEngine(build_engine(settings))
    async with front(engine, Path(directory), max_queue=64) as running:
        for way_name, way in WAYS.items():
            cells = []
            for measure in (_queued, _in_prefill, _in_decode):
                times = [
                    await measure(running, engine, way, FIELDS | shape)
                    for shape in SHAPES.values()
                    for _ in range(ROUNDS)
                ]
                everything += times
                cells.append(_cell(times))
            table.add_row(way_name, *cells)
    table.add_row("all", "", "", _cell(everything))
    return table


def _cell(times: list[float]) -> str:
    """Median and longest of seconds, in milliseconds."""
    return f"{1e3 * statistics.median(times):.1f} / {1e3 * max(times):.1f}"


async def _queued(running: Front, engine: RecordingEngine, way: Way, fields: dict[str, object]) -> float:
    admission = running.server.admission
    before = len(engine.submitted)
    async with WAYS["gRPC whole"](running.port, {**FIELDS, "n": SLOTS}, "holds-the-slots") as end_other:
        await _submitted(engine, before + 1)
        async with way(running.port, fields, "waits") as leave:
            while not admission.queued:  # noqa: ASYNC110 - it has nothing to await
                await asyncio.sleep(0.001)
            began = time.perf_counter()
            leave()
            while admission.queued:  # noqa: ASYNC110 - it has nothing to await
                await asyncio.sleep(0.001)
            seconds = time.perf_counter() - began
        end_other()
        await admission.drained()
    return seconds


async def _in_prefill(running: Front, engine: RecordingEngine, way: Way, fields: dict[str, object]) -> float:
    return await _leave(running, engine, way, fields, decode=False)


async def _in_decode(running: Front, engine: RecordingEngine, way: Way, fields: dict[str, object]) -> float:
    return await _leave(running, engine, way, fields, decode=True)


async def _leave(
    running: Front, engine: RecordingEngine, way: Way, fields: dict[str, object], *, decode: bool
) -> float:
    before = len(engine.submitted)
    async with way(running.port, fields, "runs") as leave:
        await _submitted(engine, before + 1)
        sink, handle = engine.submitted[-1]
        if decode:
            await sink.first_delta.wait()
            await asyncio.sleep(0.02)
        freed: asyncio.Future[float] = asyncio.get_running_loop().create_future()

        def note(_: Any) -> None:
            freed.set_result(time.perf_counter())

        handle.released.add_done_callback(note)
        began = time.perf_counter()
        leave()
        seconds = await freed - began
    await running.server.admission.drained()
    return seconds


async def _submitted(engine: RecordingEngine, count: int) -> None:
    """Wait until the engine has had so many calls; TimeoutError if they never come."""
    async with asyncio.timeout(30):
        while len(engine.submitted) < count:  # noqa: ASYNC110 - it has nothing to await
            await asyncio.sleep(0.001)


if __name__ == "__main__":
    main()
