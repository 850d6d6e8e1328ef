"""What a streamed token costs in each API: CPU time of every part, side by side, on a simulated engine.

`make bench-apis` runs it and prints a table. The APIs take turns in every round, and a figure is the median of rounds.
A token's cost is what long answers cost beyond answers of one token to the same prompt.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
from typing import TYPE_CHECKING, Any, Final

import uvloop
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.support.callers import MODEL
from tests.support.service import Service

if TYPE_CHECKING:
    import psutil

STREAMS: Final = 128
PACE: Final = 50  # tokens/s per stream
ROUNDS: Final = 8
ONE_TOKEN_ROUNDS: Final = 4  # more calls of one token, because each costs little
PARTS: Final = ("server", "edge", "envoy")
# The simulated engine answers this with as many tokens as it ever does without `ignore_eos`, which not every API has.
PROMPT: Final = "Tell me of 94 runners."
LONGEST: Final = 128
_ASKED: Final = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
# Path, body without the limit of tokens, and that limit's name.
APIS: Final[dict[str, tuple[str, dict[str, Any], str]]] = {
    "chat completions": ("/v1/chat/completions", _ASKED, "max_tokens"),
    "Responses": ("/v1/responses", {"model": MODEL, "stream": True, "input": PROMPT}, "max_output_tokens"),
    "Messages": ("/v1/messages", _ASKED, "max_tokens"),
}
_TOKENS: Final = re.compile(rb'"(?:completion|output)_tokens":(\d+)')


async def main() -> None:
    """Measure, and print the table."""
    costs: dict[str, dict[str, list[float]]] = {name: {part: [] for part in PARTS} for name in APIS}
    settings: dict[str, Any] = {
        "engine": "simulated",
        "simulated_rate": PACE,
        "parallel": STREAMS,
        "max_queue": 4 * STREAMS,
    }
    with Service(**settings) as service:
        parts = {name: process for name, process in service.parts().items() if name in PARTS}
        for number in track(range(ROUNDS + 1), description="APIs"):
            for name in APIS:
                ones, one_token = await _used(service.port, parts, name, 1, ONE_TOKEN_ROUNDS)
                tokens, long = await _used(service.port, parts, name, LONGEST, 1)
                for part in parts:
                    if number:  # the first round warms up
                        call = one_token[part] / ones  # answers of one token: as many calls as tokens
                        costs[name][part].append((long[part] - STREAMS * call) / (tokens - STREAMS) * 1e6)
    table = Table("API", *(f"{part}, µs per token" for part in PARTS))
    for name, by_part in costs.items():
        table.add_row(name, *(_shown(by_part[part]) for part in PARTS))
    Console(width=120).print(table)


async def _used(
    port: int, parts: dict[str, psutil.Process], name: str, limit: int, rounds: int
) -> tuple[int, dict[str, float]]:
    """The tokens of so many rounds of streams of an API, and the CPU seconds that they took in each part."""
    path, body, limit_name = APIS[name]
    before = {part: _seconds(process) for part, process in parts.items()}
    tokens = 0
    for _ in range(rounds):
        tokens += sum(await asyncio.gather(*(_stream(port, path, body | {limit_name: limit}) for _ in range(STREAMS))))
    return tokens, {part: _seconds(process) - before[part] for part, process in parts.items()}


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
