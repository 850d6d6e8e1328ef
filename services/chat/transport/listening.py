"""Where a server listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.settings import SettingsError

if TYPE_CHECKING:
    import grpc


def listen(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
    """Have a server listen on `unix:PATH` or `HOST:PORT`, with TLS if there are credentials, and return its port.

    SettingsError if that cannot be.
    """
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise SettingsError(f"The chat server cannot listen on {address}: {error}.") from error
