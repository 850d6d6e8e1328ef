"""Live calls alone and beside a batch, through Envoy, edge and server: part of `make bench-batches`.

Windows with and without a batch take turns; in both of a round live calls come at the same moments. The engine is the
simulated one, at a rate that leaves the processors idle most of the time: what is measured is how long a call waits.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from openai import AsyncOpenAI

from tests.bench.load import first_text
from tests.support.operator import Operator
from tests.support.ports import free_row
from tests.support.service import Service

_SLOTS: Final = 12
_SETTINGS: Final[dict[str, Any]] = {"engine": "simulated", "simulated_rate": 25, "parallel": _SLOTS}
_MODEL: Final = "meta-llama/Meta-Llama-3.1-8B-Instruct"
_CHAT: Final[Any] = "/v1/chat/completions"
_LIVE_TOKENS: Final = 25
_LIVE_PER_SECOND: Final = 6.0  # of a second each: they hold half of the slots
_LINE_TOKENS: Final = 100
_LINES: Final = 2_000  # more than a window runs
_SETTLE_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.5
_COLUMNS: Final = ("round", "calls", "p50 alone, ms", "p99", "p50 beside a batch, ms", "p99", "of p99 alone")


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds to the first token of live calls alone and beside a batch, and the lines that it completed meanwhile."""

    alone: list[float]
    beside: list[float]
    lines: int


class _Caller:
    """A client of the service, and its batches."""

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client

    async def window(self, seconds: float, moments: random.Random) -> list[float]:
        """Live calls for so long; the seconds to the first token of each."""
        times: list[float] = []
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as tasks:
            while time.monotonic() < end:
                await asyncio.sleep(moments.expovariate(_LIVE_PER_SECOND))
                tasks.create_task(self._call(times))
        return times

    async def window_beside(self, seconds: float, moments: random.Random) -> tuple[list[float], int]:
        """The same while a batch has every slot that is idle; also the lines that it completed."""
        lines = "\n".join(_line(number) for number in range(_LINES)).encode()
        file = await self._client.files.create(file=("requests.jsonl", lines), purpose="batch")
        batch = await self._client.batches.create(input_file_id=file.id, endpoint=_CHAT, completion_window="24h")
        before = await self._reached(batch.id, lambda found: found.request_counts.completed > 0)
        times = await self.window(seconds, moments)
        after: Any = await self._client.batches.cancel(batch.id)
        await self._reached(batch.id, lambda found: found.status == "cancelled")
        return times, after.request_counts.completed - before.request_counts.completed

    async def _reached(self, batch: str, state: Any) -> Any:
        while True:
            found = await self._client.batches.retrieve(batch)
            if state(found):
                return found
            await asyncio.sleep(_POLL_SECONDS)

    async def _call(self, times: list[float]) -> None:
        first = await first_text(self._client, _LIVE_TOKENS)
        if first is not None:
            times.append(first)


def _line(number: int) -> str:
    body = {
        "model": _MODEL,
        "messages": [{"role": "user", "content": f"Hello {number}!"}],
        "max_tokens": _LINE_TOKENS,
        "ignore_eos": True,
    }
    return json.dumps({"custom_id": f"{number}", "method": "POST", "url": _CHAT, "body": body})


async def rounds(service: Service, key: str, count: int, seconds: float) -> list[Round]:
    """So many rounds of two windows."""
    found = []
    async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key=key, max_retries=0) as client:
        caller = _Caller(client)
        await caller.window(_SETTLE_SECONDS, random.Random(0))  # noqa: S311 - guards nothing
        for number in range(1, count + 1):
            alone = await caller.window(seconds, random.Random(number))  # noqa: S311
            await asyncio.sleep(_SETTLE_SECONDS)
            beside, lines = await caller.window_beside(seconds, random.Random(number))  # noqa: S311
            await asyncio.sleep(_SETTLE_SECONDS)
            found.append(Round(alone, beside, lines))
    return found


def row(name: str, alone: list[float], beside: list[float]) -> str:
    """A line of the table."""
    alone_50, alone_99, beside_50, beside_99 = (
        statistics.quantiles(times, n=100)[percent - 1] for times in (alone, beside) for percent in (50, 99)
    )
    times = (f"{each * 1e3:.0f}" for each in (alone_50, alone_99, beside_50, beside_99))
    return f"| {' | '.join([name, f'{len(alone)}', *times, f'{beside_99 / alone_99:.0%}'])} |"


@click.command()
@click.option("--rounds", "count", default=4, show_default=True, help="Windows without and with a batch.")
@click.option("--seconds", default=20.0, show_default=True, help="Length of a window.")
def main(count: int, seconds: float) -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory(prefix="chasqui-bench-") as folder:
        place = str(Path(folder) / "accounts.db")
        key = Operator(place).run("keys", "create", "bench")
        with Service(**_SETTINGS, accounts=place, metrics_address=f"127.0.0.1:{free_row(4)}") as service:
            found = asyncio.run(rounds(service, key, count, seconds))
            preempted = service.metric("chasqui_calls_preempted_total")
    click.echo(f"| {' | '.join(_COLUMNS)} |\n|{' --- |' * len(_COLUMNS)}")
    for number, each in enumerate(found, 1):
        click.echo(row(f"{number}", each.alone, each.beside))
    alone = [one for each in found for one in each.alone]
    beside = [one for each in found for one in each.beside]
    click.echo(row("all", alone, beside))
    tokens = sum(each.lines for each in found) * _LINE_TOKENS / (count * seconds)
    click.echo(f"\nThe batches took {tokens:.0f} tokens/s; {preempted:.0f} lines were preempted.")


if __name__ == "__main__":
    main()
