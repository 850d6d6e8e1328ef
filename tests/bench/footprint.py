"""How long the service takes to be ready, and how much memory its parts hold after some calls.

Prints a table; `make bench-footprint` runs it. Times are wall-clock: read them as of the machine that it ran on.
"""

from __future__ import annotations

import os
import platform
import statistics
import time

from rich.console import Console
from rich.progress import track
from rich.table import Table

from services.settings import DEMO_MODEL
from tests.support.http import post
from tests.support.service import Service

STARTS = 5
CALLS = 16
BODY = {
    "model": "meta-llama/Meta-Llama-3.1-8B-Instruct",
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": 100,
    "ignore_eos": True,
}


def measure(engine: str) -> tuple[float, dict[str, float]]:
    """Seconds until ready, and resident megabytes of each part after `CALLS` calls."""
    began = time.perf_counter()
    with Service(engine=engine, simulated_rate=0) as service:
        ready = time.perf_counter() - began
        for _ in range(CALLS):
            post(service.url + "/v1/chat/completions", BODY)
        return ready, {name: part.memory_info().rss / 1e6 for name, part in service.parts().items()}


def main() -> None:
    """Measure both engines and print the table."""
    console = Console()
    table = Table(title=f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for heading in ("engine", "ready after s: median (min - max)", "server MB", "edge MB", "Envoy MB"):
        table.add_column(heading)
    for engine in ("llama-cpp", "simulated"):
        runs = [measure(engine) for _ in track(range(STARTS), description=engine, console=console)]
        ready = [seconds for seconds, _ in runs]
        memory = {name: statistics.median(parts[name] for _, parts in runs) for name in ("server", "edge", "envoy")}
        shown = f"{statistics.median(ready):.2f} ({min(ready):.2f} - {max(ready):.2f})"
        table.add_row(engine, shown, *(f"{megabytes:.0f}" for megabytes in memory.values()))
    console.print(table)
    console.print(
        f"The model file, which llama.cpp maps into the server, has {DEMO_MODEL.stat().st_size / 1e6:.1f} MB."
    )


if __name__ == "__main__":
    main()
