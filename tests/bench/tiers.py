"""The first token of each service tier while more calls come than there are slots: `make bench-tiers`."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import defaultdict
from typing import Any, Final

import click
from openai import APIStatusError, AsyncOpenAI

from tests.bench.load import first_text
from tests.support.service import Service

# Four slots, of 0.2 s a call: 20 calls a second. 22 come, of which 16 are not flex.
_SETTINGS: Final[dict[str, Any]] = {"engine": "simulated", "simulated_rate": 100, "parallel": 4, "flex_wait": 5.0}
_TOKENS: Final = 20
_CALLS_PER_SECOND: Final = {"priority": 4.0, "default": 12.0, "flex": 6.0}


async def call(client: AsyncOpenAI, tier: Any, times: dict[str, list[float]], refused: dict[str, int]) -> None:
    """One call; its time to the first token, or that it was refused."""
    try:
        first = await first_text(client, _TOKENS, service_tier=tier)
        if first is not None:
            times[tier].append(first)
    except APIStatusError:
        refused[tier] += 1


async def measure(url: str, seconds: float) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Calls of all tiers at random moments; times to the first token and refusals, by tier."""
    times, refused = defaultdict[str, list[float]](list), defaultdict[str, int](int)
    end = time.monotonic() + seconds
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client, asyncio.TaskGroup() as tasks:

        async def arrivals(tier: str, rate: float) -> None:
            while time.monotonic() < end:
                await asyncio.sleep(random.expovariate(rate))
                tasks.create_task(call(client, tier, times, refused))

        for tier, rate in _CALLS_PER_SECOND.items():
            tasks.create_task(arrivals(tier, rate))
    return times, refused


@click.command()
@click.option("--seconds", default=20.0, show_default=True, help="How long calls come.")
def main(seconds: float) -> None:
    """Print a table."""
    with Service(**_SETTINGS) as service:
        times, refused = asyncio.run(measure(service.url, seconds))
    click.echo(
        "| tier | calls/s | first token p50, ms | p95, ms | answered | refused |\n| --- | --- | --- | --- | --- | --- |"
    )
    for tier, rate in _CALLS_PER_SECOND.items():
        ordered = times[tier]
        p50, p95 = statistics.median(ordered) * 1e3, statistics.quantiles(ordered, n=20)[-1] * 1e3
        click.echo(f"| {tier} | {rate:g} | {p50:.0f} | {p95:.0f} | {len(ordered)} | {refused[tier]} |")


if __name__ == "__main__":
    main()
