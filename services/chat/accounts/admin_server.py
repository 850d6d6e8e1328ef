"""The services for programs of the operator, on a server and at an address of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from chasqui.v1 import key_service_pb2, key_service_pb2_grpc, usage_service_pb2, usage_service_pb2_grpc
from services.chat.accounts.key_servicer import KeyServicer
from services.chat.accounts.usage_servicer import UsageServicer
from services.chat.transport.authentication import Authentication
from services.chat.transport.interceptors import AuthenticationInterceptor, CallInterceptor
from services.chat.transport.listening import listen
from services.chat.transport.reflection import add_reflection
from services.settings import SettingsError

if TYPE_CHECKING:
    from services.accounts.api import Accounts
    from services.settings import Settings
    from services.telemetry.rpc import RpcObserver

_SERVICES: Final = tuple(
    file.services_by_name[name].full_name
    for file, name in ((key_service_pb2.DESCRIPTOR, "KeyService"), (usage_service_pb2.DESCRIPTOR, "UsageService"))
)
_HEALTH: Final = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


def build_admin_server(settings: Settings, accounts: Accounts | None, observer: RpcObserver) -> AdminServer | None:
    """The server, which does not listen yet; None if it is not set up.

    SettingsError if it is set up in part: an address without keys would be open to everybody.
    """
    if not settings.admin_address and not settings.admin_keys:
        return None
    if not (settings.admin_address and settings.admin_keys and accounts):
        raise SettingsError(
            "CHASQUI_ADMIN_ADDRESS and CHASQUI_ADMIN_KEYS need each other and CHASQUI_ACCOUNTS: one is not set."
        )
    return AdminServer(settings, accounts, observer)


class AdminServer:
    """Serves KeyService and UsageService, health and reflection; with TLS if the public port has it."""

    def __init__(self, settings: Settings, accounts: Accounts, observer: RpcObserver) -> None:
        """SettingsError if the keys, or the files of the certificate, cannot be read."""
        self._address = settings.admin_address
        self._credentials = _credentials(settings)
        authentication = Authentication(settings.admin_keys, setting="CHASQUI_ADMIN_KEYS")
        interceptors = [CallInterceptor(observer), AuthenticationInterceptor(authentication)]
        self._server: grpc.aio.Server = grpc.aio.server(interceptors=interceptors)
        self._health = health.aio.HealthServicer()
        key_service_pb2_grpc.add_KeyServiceServicer_to_server(KeyServicer(accounts.key_store), self._server)
        usage_service_pb2_grpc.add_UsageServiceServicer_to_server(UsageServicer(None, accounts), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        add_reflection([*_SERVICES, _HEALTH], self._server)

    async def start(self) -> int:
        """Listen, and return the port; SettingsError if that cannot be."""
        port = listen(self._server, self._address, self._credentials)
        for service in _SERVICES:
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()
        return port

    async def stop(self, grace: float | None) -> None:
        """Be not serving, and end when the last call has, or after so many seconds."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)


def _credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Those of the public port, read once as Envoy reads them; none without TLS, and for a socket of this machine."""
    if not settings.tls_certificate or settings.admin_address.startswith("unix:"):
        return None
    key, certificate, authorities = (
        _read(name, getattr(settings, name)) for name in ("tls_key", "tls_certificate", "tls_client_ca")
    )
    if key is None or certificate is None:
        raise SettingsError("CHASQUI_TLS_CERTIFICATE is set, but CHASQUI_TLS_KEY is not.")
    return grpc.ssl_server_credentials(
        [(key, certificate)], root_certificates=authorities, require_client_auth=authorities is not None
    )


def _read(name: str, path: str) -> bytes | None:
    try:
        return Path(path).read_bytes() if path else None
    except OSError as error:
        raise SettingsError(f"CHASQUI_{name.upper()} is {path!r}, but: {error.strerror}.") from error
