"""The process that runs batches: connected to the chat server as an edge worker is."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from edge.batches.runner import BatchRunner
from edge.upstream.relay import Relay
from services.batches.factory import has_batches
from services.batches.storage import BatchStorage
from services.garbage import spare_startup
from services.settings import SettingsError
from services.stop_signals import on_stop_signal
from services.tasks import awaited_task, background_task
from services.telemetry.event_loop import watch_event_loop
from services.telemetry.metrics import configure_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.settings import Settings

log = logging.getLogger(__name__)


async def serve(settings: Settings) -> None:
    """Run batches until a stop signal; SettingsError if there are no accounts, or they cannot be opened."""
    if not has_batches(settings):
        raise SettingsError("CHASQUI_ACCOUNTS is not set, or CHASQUI_FILES beside PostgreSQL: there are no batches.")
    storage = await asyncio.to_thread(BatchStorage, settings)
    stop = asyncio.Event()
    on_stop_signal(stop.set)
    end_metrics = configure_metrics("batches", settings)
    relay = Relay(settings.relay_address)
    runner = BatchRunner(storage, relay, settings.batch_parallel, timedelta(days=settings.file_days))
    _show(runner)
    running = {"relay": relay.run(), "batches": runner.run(), "event loop metrics": watch_event_loop()}
    tasks = [awaited_task(work, name) for name, work in running.items()]
    stopping = background_task(stop.wait(), "stop signal")
    spare_startup()
    log.info("running batches", extra={"fields": {"relay": settings.relay_address}})
    # None of these tasks ends by itself: one that does has failed, and awaiting it raises its error.
    await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done():
            await task
    tasks[1].cancel()
    await asyncio.wait([tasks[1]])
    for task in tasks:
        task.cancel()
    await relay.close()
    storage.close()
    await asyncio.to_thread(end_metrics)


def _show(runner: BatchRunner) -> None:
    """Register the metrics of a runner."""
    meter = metrics.get_meter("chasqui.batches")

    def in_flight(_: CallbackOptions) -> Iterator[Observation]:
        yield Observation(runner.in_flight)

    def ended(_: CallbackOptions) -> Iterator[Observation]:
        yield Observation(runner.completed, {"chasqui.outcome": "completed"})
        yield Observation(runner.failed, {"chasqui.outcome": "failed"})

    meter.create_observable_gauge("chasqui.batch.lines.running", [in_flight], "{line}", "Lines that are being run.")
    meter.create_observable_counter("chasqui.batch.lines", [ended], "{line}", "Lines that have a result.")
