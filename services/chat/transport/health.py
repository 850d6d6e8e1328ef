"""Readiness: model loaded, not draining, engine idle or making progress, limits can be checked."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from grpc_health.v1 import health, health_pb2

from services.engine.api import EngineState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.engine.api import Engine, Heartbeat

log = logging.getLogger(__name__)

# Seconds between two readings of the heartbeat: far below any sensible stall timeout, and nearly free.
_INTERVAL = 0.5


class HealthMonitor:
    """Keeps the statuses of `servicer` up to date. It reads the engine's heartbeat and never generates."""

    def __init__(
        self,
        engine: Engine,
        services: Sequence[str],
        stall_timeout: float,
        *,
        limits_available: Callable[[], bool] = lambda: True,
    ) -> None:
        """`stall_timeout` is in seconds; `services` are full names beside the overall status "" of the server.

        `limits_available` returns whether calls can be held to their limits.
        """
        self.servicer = health.aio.HealthServicer()
        self._engine = engine
        self._limits_available = limits_available
        self._services = ("", *services)
        self._stall_timeout = stall_timeout
        self._serving: bool | None = None
        self._draining = False
        self._moves = True
        self._moved = time.monotonic()
        self.failed = asyncio.Event()  # the engine can never work again

    async def run(self) -> None:
        """Watch until cancelled."""
        progress = -1
        while not self._draining:
            beat = self._heartbeat()
            now = time.monotonic()
            if beat is None or beat.state is EngineState.FAILED:
                log.error("the engine has failed")
                await self.drain()
                self.failed.set()
                return
            if beat.progress != progress or beat.state is EngineState.IDLE:
                progress, self._moved = beat.progress, now
            moves = now - self._moved < self._stall_timeout
            if moves is not self._moves:
                log.warning("the engine makes progress again" if moves else "the engine has stalled")
            self._moves = moves
            await self._set(serving=moves and self._limits_available())
            await asyncio.sleep(_INTERVAL)

    @property
    def serving(self) -> bool:
        """Whether the server is ready for calls."""
        return bool(self._serving)

    @property
    def heartbeat_age(self) -> float:
        """Seconds since the engine was last seen idle or making progress."""
        return time.monotonic() - self._moved

    async def drain(self) -> None:
        """Turn unready for good."""
        self._draining = True
        await self._set(serving=False)

    def _heartbeat(self) -> Heartbeat | None:
        """The engine's heartbeat; None if it raises, which says as much as that the engine has failed."""
        try:
            return self._engine.heartbeat()
        except Exception:
            log.exception("the engine's heartbeat has failed")
            return None

    async def _set(self, *, serving: bool) -> None:
        if serving == self._serving:
            return
        self._serving = serving
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in self._services:
            await self.servicer.set(service, status)
