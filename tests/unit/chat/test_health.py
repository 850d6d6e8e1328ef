"""Health says what the engine's heartbeat says; an engine that has failed never serves again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from grpc_health.v1 import health_pb2

from services.chat.transport.health import HealthMonitor
from services.engine.api import EngineState, Heartbeat

LIMIT = 30.0


@dataclass
class BeatingEngine:
    """An engine of which only the heartbeat is asked."""

    state: EngineState = EngineState.IDLE

    def heartbeat(self) -> Heartbeat:
        """As the test wants it."""
        return Heartbeat(self.state, 0, 0, 0)


async def status(monitor: HealthMonitor) -> int:
    answer = await monitor.servicer.Check(health_pb2.HealthCheckRequest(service="chasqui.v1.ChatService"), None)
    return int(answer.status)


async def test_an_engine_that_fails_is_not_serving_at_once_and_for_good() -> None:
    engine: Any = BeatingEngine()
    monitor = HealthMonitor(engine, ["chasqui.v1.ChatService"], stall_timeout=1000.0)
    watch = asyncio.create_task(monitor.run())
    await asyncio.sleep(0.01)
    assert await status(monitor) == health_pb2.HealthCheckResponse.SERVING
    assert not monitor.failed.is_set()
    engine.state = EngineState.FAILED
    await asyncio.wait_for(monitor.failed.wait(), LIMIT)
    assert await status(monitor) == health_pb2.HealthCheckResponse.NOT_SERVING
    await watch


async def test_a_heartbeat_that_raises_ends_readiness_and_is_seen() -> None:
    class BrokenEngine(BeatingEngine):
        def heartbeat(self) -> Heartbeat:
            if self.state is EngineState.WORKING:
                raise RuntimeError("no counters")
            return super().heartbeat()

    engine: Any = BrokenEngine()
    monitor = HealthMonitor(engine, ["chasqui.v1.ChatService"], stall_timeout=1000.0)
    watch = asyncio.create_task(monitor.run())
    await asyncio.sleep(0.01)
    assert await status(monitor) == health_pb2.HealthCheckResponse.SERVING
    engine.state = EngineState.WORKING
    await asyncio.wait_for(monitor.failed.wait(), LIMIT)
    assert await status(monitor) == health_pb2.HealthCheckResponse.NOT_SERVING
    await watch
