"""An edge worker: one process with its own socket, connections to the chat server, and readiness."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from edge.app import build_app
from edge.endpoints.health import Health
from edge.endpoints.pages import Pages
from edge.http.event_stream import KeepAlive
from edge.http2.server import Server
from edge.upstream.client import Upstream
from services.batches.factory import open_batches
from services.garbage import spare_startup
from services.responses.factory import open_responses
from services.stop_signals import on_stop_signal
from services.tasks import awaited_task, background_task
from services.telemetry.event_loop import watch_event_loop
from services.telemetry.metrics import configure_metrics
from services.telemetry.tracing import configure_tracing

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from services.settings import Settings

log = logging.getLogger(__name__)

# For clients to read the end of a call that is interrupted, and for connections to close.
_CLOSE_SECONDS = 2.0


class RunningCalls:
    """Counts the running requests of an application, so that a shutdown can wait for them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, counted."""
        self._count += 1
        self._none.clear()
        try:
            await self._app(scope, receive, send)
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()

    async def ended(self) -> None:
        """Wait until no request is running."""
        await self._none.wait()


async def serve(settings: Settings) -> None:
    """Run a worker on `edge_address` until a stop signal, then drain: unready first, then wait, then close.

    SettingsError if a setting of the pages, the files or the stored responses cannot be.
    """
    pages = Pages(settings.trace_url) if settings.page else None
    stop = asyncio.Event()
    on_stop_signal(stop.set)
    spans = configure_tracing("edge", settings)
    end_metrics = configure_metrics("edge", settings)
    relay_address = settings.relay_address if settings.edge_transport == "relay" else ""
    upstream = Upstream(settings.server_address, relay_address)
    health = Health(upstream)
    keep_alive = KeepAlive(settings.keep_alive, settings.reader_timeout)
    storage = await asyncio.to_thread(open_batches, settings)
    responses = await asyncio.to_thread(open_responses, settings)
    calls = RunningCalls(build_app(upstream, health, keep_alive, spans, pages, storage, responses))
    server = Server(calls, settings.edge_address)
    running = {
        "health watch": upstream.watch_health(),
        "transport": upstream.transport.run(),
        "keep-alive": keep_alive.run(),
        "event loop metrics": watch_event_loop(),
        "HTTP server": server.serve(),
    }
    tasks = [awaited_task(work, name) for name, work in running.items()]
    spare_startup()
    log.info("serving", extra={"fields": {"address": settings.edge_address, "server": settings.server_address}})
    await _until_stopped(stop, tasks)
    await _drain(health, calls, upstream, settings)
    await _close(server, tasks)
    await upstream.close()
    if storage is not None:
        storage.close()
    if responses is not None:
        await asyncio.to_thread(responses.close)
    await asyncio.to_thread(spans.shutdown)
    await asyncio.to_thread(end_metrics)
    log.info("stopped")


async def _until_stopped(stop: asyncio.Event, tasks: list[asyncio.Task[Any]]) -> None:
    """Wait for the stop signal. None of the tasks ends by itself: one that does has failed, and its error is raised."""
    stopping = background_task(stop.wait(), "stop signal")
    await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done():
            await task


async def _drain(health: Health, calls: RunningCalls, upstream: Upstream, settings: Settings) -> None:
    """Become unready, wait for load balancers to notice, and then until running calls have ended, or end them."""
    health.draining = True
    log.info("draining")
    await asyncio.sleep(settings.drain_delay)
    try:
        await asyncio.wait_for(calls.ended(), settings.grace_period)
    except TimeoutError:
        log.warning("the grace period is over: running calls are interrupted")
        upstream.calls.interrupt()
        with suppress(TimeoutError):
            await asyncio.wait_for(calls.ended(), _CLOSE_SECONDS)


async def _close(server: Server, tasks: list[asyncio.Task[Any]]) -> None:
    """Close the HTTP server, whose task is the last one, and cancel all tasks."""
    server.stop()
    # It waits for connections, of which one may have a client that reads nothing.
    await asyncio.wait([tasks[-1]], timeout=_CLOSE_SECONDS)
    for task in tasks:
        task.cancel()
