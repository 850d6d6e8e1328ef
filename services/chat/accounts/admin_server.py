"""The services for programs of the operator, on a server and at an address of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from chasqui.v1 import key_service_pb2, key_service_pb2_grpc, usage_service_pb2, usage_service_pb2_grpc
from services.chat.accounts.key_servicer import KeyServicer
from services.chat.accounts.usage_servicer import UsageServicer
from services.chat.transport.authentication import Authentication
from services.chat.transport.interceptors import AuthenticationInterceptor, CallInterceptor
from services.chat.transport.reflection import add_reflection
from services.settings import SettingsError

if TYPE_CHECKING:
    from services.accounts.api import Accounts
    from services.settings import Settings
    from services.telemetry.rpc import RpcObserver

_SERVICES = tuple(
    file.services_by_name[name].full_name
    for file, name in ((key_service_pb2.DESCRIPTOR, "KeyService"), (usage_service_pb2.DESCRIPTOR, "UsageService"))
)


def build_admin_server(settings: Settings, accounts: Accounts | None, observer: RpcObserver) -> grpc.aio.Server | None:
    """The server, which does not listen yet; None if it is not set up.

    SettingsError if it is set up in part: an address without keys would be open to everybody.
    """
    if not settings.admin_address and not settings.admin_keys:
        return None
    if not (settings.admin_address and settings.admin_keys and accounts):
        raise SettingsError(
            "CHASQUI_ADMIN_ADDRESS and CHASQUI_ADMIN_KEYS need each other and CHASQUI_ACCOUNTS: one is not set."
        )
    authentication = Authentication(settings.admin_keys, setting="CHASQUI_ADMIN_KEYS")
    server = grpc.aio.server(interceptors=[CallInterceptor(observer), AuthenticationInterceptor(authentication)])
    key_service_pb2_grpc.add_KeyServiceServicer_to_server(KeyServicer(accounts.key_store), server)
    usage_service_pb2_grpc.add_UsageServiceServicer_to_server(UsageServicer(None, accounts), server)
    add_reflection(_SERVICES, server)
    return server
