"""The chat server's process: telemetry, the engine, and the server around it until a stop signal comes."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from services.chat.server import ChatServer
from services.engine.factory import build_engine
from services.garbage import spare_startup
from services.stop_signals import on_stop_signal
from services.tasks import awaited_task, background_task
from services.telemetry.event_loop import watch_event_loop
from services.telemetry.metrics import configure_metrics
from services.telemetry.tracing import configure_tracing

if TYPE_CHECKING:
    from services.engine.api import Engine
    from services.settings import Settings

log = logging.getLogger(__name__)


def _is_failure(record: logging.LogRecord) -> bool:
    """Whether grpc.aio reports more than an RPC that was cancelled, as health watches are when the server stops."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


async def serve(settings: Settings, address: str) -> int:
    """Run a chat server on `address` until a stop signal and return the exit status: 1 after a failed engine.

    EngineLoadError if the model cannot be loaded.
    """
    stop = asyncio.Event()
    on_stop_signal(stop.set)
    logging.getLogger("grpc._cython.cygrpc").addFilter(_is_failure)
    spans = configure_tracing("server", settings)
    end_metrics = configure_metrics("server", settings)
    engine = build_engine(settings)
    if not await _started(engine, stop):
        return 0
    server = ChatServer(engine, settings, spans)
    await server.start(address, settings.relay_address)
    spare_startup()
    log.info("serving", extra={"fields": _summary(engine, address)})
    lag = background_task(watch_event_loop(), "event loop metrics")
    failed = background_task(server.failed(), "end of the engine")
    failed.add_done_callback(lambda _: stop.set())
    await stop.wait()
    status = 1 if failed.done() else 0
    failed.cancel()
    log.info("draining")
    await server.stop()
    lag.cancel()
    await asyncio.to_thread(spans.shutdown)
    await asyncio.to_thread(end_metrics)
    log.info("stopped")
    return status


async def _started(engine: Engine, stop: asyncio.Event) -> bool:
    """Load the engine; False if a signal came first, as loading may take longer than a supervisor waits."""
    loading = awaited_task(engine.start(), "engine start")
    stopping = background_task(stop.wait(), "stop signal")
    await asyncio.wait([loading, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if loading.done():
        await loading
        return True
    log.info("stopped while the model was loading")
    loading.cancel()
    await asyncio.wait([loading])
    return False


def _summary(engine: Engine, address: str) -> dict[str, Any]:
    return {
        "address": address,
        "model": engine.model.name,
        "fingerprint": engine.model.fingerprint,
        "context_length": engine.capabilities.context_length,
        "parallel": engine.capabilities.parallel,
    }
