"""The chat server: assembles its components, serves, and drains."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chasqui.v1 import (
    account_service_pb2_grpc,
    batch_service_pb2,
    batch_service_pb2_grpc,
    chat_service_pb2,
    chat_service_pb2_grpc,
    file_service_pb2,
    file_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    relay_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
    usage_service_pb2,
    usage_service_pb2_grpc,
)
from services.accounts.factory import build_limiter, open_accounts
from services.accounts.prices.price_list import PriceList
from services.batches.factory import open_batches
from services.batches.watch import BatchWatch
from services.chat.accounting.recorder import CallRecorder
from services.chat.accounts.admin_server import build_admin_server
from services.chat.accounts.token_servicer import TokenServicer
from services.chat.accounts.usage_servicer import UsageServicer
from services.chat.batches.access import StorageAccess
from services.chat.batches.batch_servicer import BatchServicer
from services.chat.batches.file_servicer import FileServicer
from services.chat.pipeline import ChatPipeline
from services.chat.request.catalogue import Catalogue
from services.chat.request.input_processor import InputProcessor
from services.chat.scheduling.admission import Admission
from services.chat.server_metrics import show_batches, show_ledger, show_limits, show_server
from services.chat.transport.authentication import Authentication
from services.chat.transport.health import HealthMonitor
from services.chat.transport.interceptors import AuthenticationInterceptor, CallInterceptor
from services.chat.transport.listening import listen
from services.chat.transport.reflection import add_reflection
from services.chat.transport.relay import RelayServicer
from services.chat.transport.servicers import AccountServicer, ChatServicer, ModelServicer
from services.errors import Interrupted
from services.settings import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES
from services.tasks import background_task
from services.telemetry.rpc import RpcObserver

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from services.engine.api import Engine
    from services.settings import Settings
    from services.telemetry.spans import Spans

log = logging.getLogger(__name__)

_DESCRIPTORS = (
    chat_service_pb2.DESCRIPTOR.services_by_name["ChatService"],
    model_service_pb2.DESCRIPTOR.services_by_name["ModelService"],
    usage_service_pb2.DESCRIPTOR.services_by_name["UsageService"],
    token_service_pb2.DESCRIPTOR.services_by_name["TokenService"],
    file_service_pb2.DESCRIPTOR.services_by_name["FileService"],
    batch_service_pb2.DESCRIPTOR.services_by_name["BatchService"],
)
_SERVICES = tuple(service.full_name for service in _DESCRIPTORS)
_METHODS = tuple(f"{service.full_name}/{method.name}" for service in _DESCRIPTORS for method in service.methods)
# Seconds for streams to send their last messages.
_CLOSE_SECONDS = 1.0
# TensorRT-LLM gives up waiting for its workers before that.
_ENGINE_CLOSE_SECONDS = 30.0
# A client may ping this often, with or without calls, and never gets "too many pings".
_OPTIONS = (
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.max_concurrent_streams", 16_384),
    # Beyond 1,000 pending calls gRPC cancels some at random; admission control counts and refuses them with a reason.
    ("grpc.server.max_pending_requests", 65_536),
    ("grpc.server.max_pending_requests_hard_limit", 65_536),
    # Seconds. A busy process that has not looked at a call after half a minute has not lost it: its caller says when.
    ("grpc.server_max_unrequested_time_in_server", 3_600),
    ("grpc.so_reuseport", 0),
)


class ChatServer:
    """The gRPC server around one engine."""

    def __init__(self, engine: Engine, settings: Settings, spans: Spans) -> None:
        """`spans` takes those of the calls.

        SettingsError if keys, price or accounts cannot be read, EngineLoadError if the model's chat template is broken.
        """
        self._engine = engine
        self._settings = settings
        self._accounts = open_accounts(settings)
        self._storage = open_batches(settings)
        self._batch_watch = None if self._storage is None else BatchWatch(self._storage.batches)
        authentication = Authentication(settings.api_keys, self._accounts)
        if not authentication.required:
            log.warning("CHASQUI_API_KEYS is not set: calls need no key")
        self._limiter = build_limiter(settings, self._accounts)
        self.admission = Admission(engine.capabilities.parallel, settings.max_queue, settings.max_queue_tokens)
        prices = PriceList(
            settings, engine.model.name, (lambda: ()) if self._accounts is None else self._accounts.prices
        )
        catalogue = Catalogue(engine, settings, prices)
        self._inputs = InputProcessor(engine)
        recorder = CallRecorder(spans, engine.model.name, self._accounts, traces_content=settings.trace_content)
        self._pipeline = pipeline = ChatPipeline(
            engine, catalogue, self.admission, self._limiter, self._inputs, recorder, settings
        )
        self._health = HealthMonitor(
            engine, _SERVICES, settings.stall_timeout, limits_available=lambda: self._limiter.available
        )
        observer = RpcObserver(spans, _METHODS)
        interceptors = [CallInterceptor(observer), AuthenticationInterceptor(authentication)]
        self._grpc: grpc.aio.Server = grpc.aio.server(interceptors=interceptors, options=_OPTIONS)
        self._add_services(catalogue, authentication)
        # On a server of its own, so that no proxy configuration can route a caller to it.
        self._relay = RelayServicer(pipeline, authentication, observer, settings.reader_timeout)
        self._relay_grpc: grpc.aio.Server = grpc.aio.server(options=_OPTIONS)
        relay_service_pb2_grpc.add_RelayServiceServicer_to_server(self._relay, self._relay_grpc)
        self._admin = build_admin_server(settings, self._accounts, observer)
        show_server(self.admission, engine, self._health, self._relay.traffic)
        show_limits(self._limiter)
        show_ledger(self._accounts)
        show_batches(self._batch_watch)

    def _add_services(self, catalogue: Catalogue, authentication: Authentication) -> None:
        """Everything that is served to callers."""
        chat = ChatServicer(self._pipeline, authentication, self._settings.reader_timeout)
        chat_service_pb2_grpc.add_ChatServiceServicer_to_server(chat, self._grpc)
        models = ModelServicer(catalogue, self._inputs, authentication, self._limiter)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(models, self._grpc)
        usage = UsageServicer(authentication, self._accounts)
        usage_service_pb2_grpc.add_UsageServiceServicer_to_server(usage, self._grpc)
        tokens = TokenServicer(authentication, self._accounts, self._limiter)
        token_service_pb2_grpc.add_TokenServiceServicer_to_server(tokens, self._grpc)
        access = StorageAccess(authentication, self._storage)
        files = FileServicer(access, self._settings.reader_timeout)
        file_service_pb2_grpc.add_FileServiceServicer_to_server(files, self._grpc)
        batch_service_pb2_grpc.add_BatchServiceServicer_to_server(BatchServicer(access), self._grpc)
        # For the edge, and so in neither health nor reflection; it returns the caller's own account only.
        account_service_pb2_grpc.add_AccountServiceServicer_to_server(AccountServicer(authentication), self._grpc)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, self._grpc)
        health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        add_reflection([*_SERVICES, health_name], self._grpc)

    async def start(self, address: str, relay_address: str) -> int:
        """Listen on `unix:PATH` or `HOST:PORT`, for edge workers on another; returns the first one's port.

        SettingsError if that cannot be. Without `relay_address` there is no Relay.
        """
        port = listen(self._grpc, address)
        if relay_address:
            listen(self._relay_grpc, relay_address)
            await self._relay_grpc.start()
        if self._admin is not None:
            await self._admin.start()
        await self._grpc.start()
        self._watch = background_task(self._health.run(), "health")
        self._counting = background_task(self._limiter.run(self._spent), "limits")
        if self._batch_watch is not None:
            self._watching = background_task(self._batch_watch.run(), "batches")
        return port

    def _spent(self) -> Mapping[str, tuple[Decimal, Decimal]]:
        """USD of this day and month by key, as the ledger has them."""
        return {} if self._accounts is None else self._accounts.spent()

    async def failed(self) -> None:
        """Wait until the engine can never work again, or its health is not watched any more."""
        await asyncio.wait([self._watch])

    async def stop(self) -> None:
        """Drain: unready at once, refuse new calls after the drain delay, wait for the running ones, then close."""
        self._watch.cancel()
        await self._health.drain()
        await asyncio.sleep(self._settings.drain_delay)
        self.admission.close()
        try:
            await asyncio.wait_for(self.admission.drained(), self._settings.grace_period)
        except TimeoutError:
            log.warning("the grace period is over: running calls are interrupted")
            self.admission.halt()
            self._pipeline.fail_all(Interrupted())
            with suppress(TimeoutError):
                await asyncio.wait_for(self.admission.drained(), _CLOSE_SECONDS)
        self._relay.close()
        servers = (self._grpc, self._relay_grpc, self._admin)
        await asyncio.gather(*(server.stop(_CLOSE_SECONDS) for server in servers if server is not None))
        self._inputs.close()
        try:
            await asyncio.wait_for(self._engine.close(), _ENGINE_CLOSE_SECONDS)
        except TimeoutError:
            log.error("the engine does not close and is abandoned")
        self._counting.cancel()
        await self._limiter.close()
        if self._accounts is not None:
            await asyncio.to_thread(self._accounts.close)
        if self._storage is not None:
            self._watching.cancel()
            await asyncio.to_thread(self._storage.close)
