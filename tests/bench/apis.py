"""What a streamed token costs in each API: CPU time of every part, side by side, on a simulated engine.

`make bench-apis` runs it and prints a table. The APIs take turns in every round, and a figure is the median of rounds.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
from typing import TYPE_CHECKING, Any, Final

import uvloop
from rich.console import Console
from rich.table import Table

from tests.support.callers import MODEL
from tests.support.service import Service

if TYPE_CHECKING:
    import psutil

STREAMS: Final = 128
TOKENS: Final = 300
PACE: Final = 50  # tokens/s per stream
ROUNDS: Final = 5
PARTS: Final = ("server", "edge", "envoy")
_ASKED: Final = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "Tell me of the runners."}]}
BODIES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "chat completions": ("/v1/chat/completions", _ASKED | {"max_tokens": TOKENS}),
    "Responses": (
        "/v1/responses",
        {"model": MODEL, "stream": True, "input": "Tell me of the runners.", "max_output_tokens": TOKENS},
    ),
    "Messages": ("/v1/messages", _ASKED | {"max_tokens": TOKENS}),
}
_TOKENS: Final = re.compile(rb'"(?:completion|output)_tokens":(\d+)')


async def main() -> None:
    """Measure, and print the table."""
    costs: dict[str, dict[str, list[float]]] = {name: {part: [] for part in PARTS} for name in BODIES}
    settings: dict[str, Any] = {
        "engine": "simulated",
        "simulated_rate": PACE,
        "parallel": STREAMS,
        "max_queue": 4 * STREAMS,
    }
    with Service(**settings) as service:
        parts = {name: process for name, process in service.parts().items() if name in PARTS}
        for number in range(ROUNDS + 1):
            for name, (path, body) in BODIES.items():
                before = {part: _seconds(process) for part, process in parts.items()}
                tokens = sum(await asyncio.gather(*(_stream(service.port, path, body) for _ in range(STREAMS))))
                for part, process in parts.items():
                    if number:  # the first round warms up
                        costs[name][part].append((_seconds(process) - before[part]) / tokens * 1e6)
    table = Table("API", *(f"{part}, µs per token" for part in PARTS))
    for name, by_part in costs.items():
        table.add_row(name, *(_shown(by_part[part]) for part in PARTS))
    Console().print(table)


async def _stream(port: int, path: str, body: dict[str, Any]) -> int:
    """The tokens of one streamed answer, by its usage."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\nconnection: close\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
    received = await reader.read()
    writer.close()
    return int(_TOKENS.findall(received)[-1])


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _shown(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


if __name__ == "__main__":
    uvloop.run(main())
