"""A caller who goes away frees the engine, over every API, in every phase; and has one usage record."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from services.engine.factory import build_engine
from services.settings import Settings
from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.front import Front, front
from tests.support.leaving import WAYS
from tests.support.recording_engine import RecordingEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.leaving import Way

SLOTS = 4
MOST = 2000  # tokens of an answer that nobody interrupts, far more than are made here
SHAPES: dict[str, dict[str, object]] = {
    "plain": {},
    "logprobs": {"logprobs": True, "top_logprobs": 3},
    "n = 4": {"n": SLOTS},
}
# The prompt is long, for its processing to take a while.
FIELDS: dict[str, object] = {
    "model": REFERENCE_MODEL,
    "messages": [{"role": "user", "content": "Tell me of the runners. " * 120}],
    "max_tokens": MOST,
    "ignore_eos": True,
}
SETTINGS = {
    "simulated": Settings(engine="simulated", parallel=SLOTS, simulated_rate=20, context_length=4096),
    "llama-cpp": Settings(engine="llama-cpp", parallel=SLOTS, context_length=4096, threads=1),
}


class Rig:
    """A running service and the records that it wrote."""

    def __init__(self, running: Front, engine: RecordingEngine, log: pytest.LogCaptureFixture) -> None:
        self.front = running
        self.engine = engine
        self._log = log

    def records(self) -> list[dict[str, Any]]:
        """Of all calls, in the order in which they were settled."""
        return [vars(record)["fields"] for record in self._log.records if record.msg == "chat call ended"]

    async def submitted(self, count: int) -> None:
        """Wait until the engine has had so many calls."""
        while len(self.engine.submitted) < count:  # noqa: ASYNC110 - it has nothing to await
            await asyncio.sleep(0.001)

    async def idle(self) -> None:
        """Wait until nothing is inside, neither in the queue nor in the engine."""
        await self.front.server.admission.drained()
        for _, handle in self.engine.submitted:
            await handle.released
        beat = self.engine.heartbeat()
        assert (beat.running, beat.queued) == (0, 0)


@pytest.fixture(params=SETTINGS.values(), ids=list(SETTINGS))
async def rig(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Rig]:
    caplog.set_level(logging.INFO, "services.chat.accounting.usage_record")
    engine = RecordingEngine(build_engine(request.param))
    directory: Path = tmp_path_factory.mktemp("c")
    async with front(engine, directory) as running:
        yield Rig(running, engine, caplog)


async def leave(rig: Rig, way: Way, fields: dict[str, object], phase: str, name: str) -> None:
    """Begin a call, go away in a phase of it, and wait until everything is free; TimeoutError if that never comes."""
    async with asyncio.timeout(60):
        if phase == "queued":
            await _leave_queue(rig, way, fields, name)
        else:
            await _leave_engine(rig, way, fields, phase, name)


async def _leave_queue(rig: Rig, way: Way, fields: dict[str, object], name: str) -> None:
    before = len(rig.engine.submitted)
    admission = rig.front.server.admission
    other: dict[str, object] = {**FIELDS, "messages": [{"role": "user", "content": "Hello!"}], "n": SLOTS}
    async with WAYS["HTTP/1.1 streamed"](rig.front.port, other, f"before-{name}") as end_other:
        await rig.submitted(before + 1)
        async with way(rig.front.port, fields, name) as end:
            while not admission.queued:  # noqa: ASYNC110 - it has nothing to await
                await asyncio.sleep(0.001)
            end()
            while admission.queued:  # noqa: ASYNC110 - it has nothing to await
                await asyncio.sleep(0.001)
        assert len(rig.engine.submitted) == before + 1
        end_other()
        await rig.idle()


async def _leave_engine(rig: Rig, way: Way, fields: dict[str, object], phase: str, name: str) -> None:
    before = len(rig.engine.submitted)
    async with way(rig.front.port, fields, name) as end:
        await rig.submitted(before + 1)
        if phase == "in decode":
            await rig.engine.submitted[-1][0].first_delta.wait()
        end()
        await rig.idle()


async def test_every_way_to_go_away_in_every_phase_and_shape_frees_the_places_and_is_billed_once(rig: Rig) -> None:
    for way_name, way in WAYS.items():
        for phase in ("queued", "in prefill", "in decode"):
            for shape, changes in SHAPES.items():
                name = re.sub("[^a-zA-Z0-9]+", "-", f"{way_name} {phase} {shape}")
                await leave(rig, way, FIELDS | changes, phase, name)
                (record,) = (record for record in rig.records() if record["request_id"] == name)
                assert record["outcome"] == "cancelled"
                assert record["completion_tokens"] < MOST
                assert (record["prompt_tokens"] == 0) is (phase == "queued")
                assert (record["completion_tokens"] > 0) or phase != "in decode"


async def test_an_edge_that_dies_frees_all_of_its_calls_in_every_phase(rig: Rig) -> None:
    running, waiting = [f"running-{i}" for i in range(SLOTS)], [f"waiting-{i}" for i in range(3)]
    async with asyncio.timeout(60), AsyncExitStack() as calls:
        for number, name in enumerate(running + waiting):
            way = WAYS["HTTP/1.1 streamed" if number % 2 else "HTTP/2 whole, reset"]
            await calls.enter_async_context(way(rig.front.port, FIELDS, name))
        await rig.submitted(SLOTS)
        while rig.front.server.admission.queued < len(waiting):  # noqa: ASYNC110 - it has nothing to await
            await asyncio.sleep(0.001)
        rig.front.edge.kill()
        await rig.idle()
    records = {record["request_id"]: record for record in rig.records()}
    assert len(rig.records()) == len(records) == SLOTS + len(waiting)
    assert {record["outcome"] for record in records.values()} == {"cancelled"}
    assert len(rig.engine.submitted) == SLOTS
    assert sum(record["prompt_tokens"] == 0 for record in records.values()) == len(waiting)
