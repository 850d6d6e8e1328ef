"""Readiness says whether the engine moves: over REST, over gRPC, in Envoy's own eyes; and nobody generates to know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.engine.api import EngineState, Heartbeat
from services.engine.factory import build_engine
from services.settings import Settings
from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.front import Front, front
from tests.support.http import get, open_call, post
from tests.support.recording_engine import RecordingEngine

CHAT = "/v1/chat/completions"
SERVICE = "chasqui.v1.ChatService"
SERVING = health_pb2.HealthCheckResponse.SERVING
STALL = 1.5  # seconds
BODY: dict[str, object] = {
    "model": REFERENCE_MODEL,
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": 20,
    "ignore_eos": True,
}


class FreezingEngine(RecordingEngine):
    """An engine whose heart stands still when a test says so."""

    frozen = False

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(EngineState.WORKING, 7, 1, 0) if self.frozen else super().heartbeat()


class Rig:
    """A service with one place, and who looks at its health."""

    def __init__(self, running: Front, engine: FreezingEngine, directory: Path) -> None:
        self.front = running
        self.engine = engine
        self._directory = directory

    async def views(self) -> dict[str, bool]:
        """Whether each of those who can be asked, or who ask by themselves, takes the service for ready."""
        direct = f"unix:{self._directory}/server.sock"
        return {
            "REST": (await asyncio.to_thread(get, self.front.url + "/readyz")).status == 200,
            "gRPC": await _healthy(direct, SERVICE),
            "gRPC, whole server": await _healthy(direct, ""),
            "gRPC through Envoy": await _healthy(f"127.0.0.1:{self.front.port}", SERVICE),
            "Envoy, of the server": await self._in_envoys_eyes("chat_server"),
            "Envoy, of the edge": await self._in_envoys_eyes("edge"),
        }

    async def _in_envoys_eyes(self, cluster: str) -> bool:
        reader, writer = await asyncio.open_unix_connection(self._directory / "admin.sock")
        writer.write(b"GET /clusters HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        page = (await reader.read()).decode()
        writer.close()
        (flags,) = (line for line in page.splitlines() if line.startswith(f"{cluster}::") and "health_flags" in line)
        return flags.endswith("::healthy")

    async def until(self, *, ready: bool) -> None:
        """Wait until all agree; TimeoutError if they never do."""
        async with asyncio.timeout(60):
            while set((await self.views()).values()) != {ready}:  # noqa: ASYNC110 - nobody is page
                await asyncio.sleep(0.05)


async def _healthy(target: str, service: str) -> bool:
    async with grpc.aio.insecure_channel(target) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == SERVING)


@pytest.fixture
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    engine = FreezingEngine(build_engine(Settings(engine="simulated", parallel=1, simulated_rate=100)))
    directory = tmp_path_factory.mktemp("h")
    async with front(engine, directory, stall_timeout=STALL) as running:
        yield Rig(running, engine, directory)


async def test_a_frozen_engine_turns_all_views_unready_and_one_that_moves_again_ready(rig: Rig) -> None:
    await rig.until(ready=True)
    rig.engine.frozen = True
    await rig.until(ready=False)
    refused = await asyncio.to_thread(post, rig.front.url + CHAT, BODY)
    assert (refused.status, refused.error["type"]) == (503, "server_error")
    # The process lives, and nobody has to restart it.
    assert rig.front.edge.returncode is None
    rig.engine.frozen = False
    await rig.until(ready=True)
    assert rig.engine.submitted == []
    answered = await asyncio.to_thread(post, rig.front.url + CHAT, BODY)
    assert answered.json()["usage"]["completion_tokens"] == 20


async def test_a_saturated_engine_stays_ready_however_long_its_queue_is(rig: Rig) -> None:
    await rig.until(ready=True)
    long = {**BODY, "max_tokens": 400}
    calls = [await asyncio.to_thread(open_call, rig.front.url + CHAT, long) for _ in range(20)]
    admission = rig.front.server.admission
    while admission.queued < len(calls) - 1:  # noqa: ASYNC110 - nobody is page
        await asyncio.sleep(0.001)
    loop = asyncio.get_running_loop()
    end = loop.time() + 2 * STALL
    while loop.time() < end:
        assert set((await rig.views()).values()) == {True}
    assert admission.queued > 0
    for connection in calls:
        connection.close()
    await admission.drained()
