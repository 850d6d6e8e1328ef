"""Callers who go away at random moments by random ways leave nothing behind: no place, task, descriptor, or memory.

`DISCONNECTS=10000 .venv/bin/pytest tests/e2e/test_random_disconnects.py` is the long form.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.engine.factory import build_engine
from services.settings import Settings
from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.front import Front, front
from tests.support.holdings import Holdings
from tests.support.http import post
from tests.support.leaving import leave_at_random

COUNT = int(os.environ.get("DISCONNECTS", "300"))
# What allocators and caches take while they find their size, and what may hide there: a tenth of a kilobyte per call.
ALLOWANCE = 12 * 2**20 + 100 * COUNT
LIMIT = 300 + COUNT * 0.2  # seconds
FIELDS: dict[str, object] = {
    "model": REFERENCE_MODEL,
    "messages": [{"role": "user", "content": "Tell me a long story of the runners."}],
    "max_tokens": 400,
    "ignore_eos": True,
    "n": 2,
}
SETTINGS = {
    "simulated": Settings(engine="simulated", parallel=8, simulated_rate=500, context_length=1024),
    "llama-cpp": Settings(engine="llama-cpp", parallel=8, context_length=1024, threads=1),
}


class UsageRecords(logging.Filter):
    """Counts the records of each request id, and drops the lines: pytest keeps two kilobytes for each."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        self.counts[vars(record)["fields"]["request_id"]] += 1
        return False


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Iterator[UsageRecords]:
    caplog.set_level(logging.INFO, "services.chat.accounting.usage_record")
    log, counting = logging.getLogger("services.chat.accounting.usage_record"), UsageRecords()
    log.addFilter(counting)
    yield counting
    log.removeFilter(counting)


def processes(running: Front) -> dict[str, psutil.Process]:
    """The server's process is this one, with the callers in it."""
    return {
        "server": psutil.Process(),
        "edge": psutil.Process(running.edge.pid),
        "Envoy": psutil.Process(running.envoy.pid),
    }


async def idle(running: Front, tasks: int) -> None:
    """Wait until no call is inside and as few tasks are left as there were."""
    await running.server.admission.drained()
    while len(asyncio.all_tasks()) > tasks:  # noqa: ASYNC110 - it has nothing to await
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
async def test_callers_who_leave_at_random_leave_nothing_behind(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory, records: UsageRecords
) -> None:
    directory: Path = tmp_path_factory.mktemp("d")
    engine = build_engine(settings)
    async with asyncio.timeout(LIMIT), front(engine, directory) as running:
        tasks = len(asyncio.all_tasks())
        # Pools, caches and connections that stay come with the first calls.
        names = await leave_at_random(running.port, FIELDS, 150, seed=1)
        await idle(running, tasks)
        gc.collect()
        before = {name: Holdings.of(process) for name, process in processes(running).items()}
        names += await leave_at_random(running.port, FIELDS, COUNT, seed=2)
        await idle(running, tasks)
        gc.collect()
        # A call whose caller has left may still be on its way here, and come and go once more.
        while (beat := engine.heartbeat()).running or beat.queued:  # noqa: ASYNC110 - it has nothing to await
            await asyncio.sleep(0.01)
        leaks: dict[str, Any] = {"": ["not measured yet"]}
        while any("descriptors" in leak for found in leaks.values() for leak in found) or "" in leaks:
            # Sockets that are closed on one side are closed on the other a moment later.
            await asyncio.sleep(0.05)
            leaks = {
                name: Holdings.of(process).leaks(before[name], ALLOWANCE)
                for name, process in processes(running).items()
            }
        assert leaks == {"server": [], "edge": [], "Envoy": []}
        assert set(records.counts) <= set(names)
        assert set(records.counts.values()) == {1}
        # All places are free: an answer for each of them is given.
        reply = await asyncio.to_thread(post, running.url + "/v1/chat/completions", {**FIELDS, "n": 4, "max_tokens": 2})
        assert reply.json()["usage"]["completion_tokens"] == 8
