"""Whose files and batches an RPC is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.chat.transport.interceptors import metadata_of
from services.errors import NoAccounts

if TYPE_CHECKING:
    import grpc

    from services.batches.api import Storage
    from services.chat.transport.authentication import Authentication

    Context = grpc.aio.ServicerContext[Any, Any]


class StorageAccess:
    """Files and batches, which there are with `CHASQUI_ACCOUNTS` only."""

    def __init__(self, authentication: Authentication, storage: Storage | None) -> None:
        self._authentication = authentication
        self._storage = storage

    def opened(self, context: Context) -> tuple[Storage, str]:
        """The storage, and the account of the caller; raises NoAccounts, and what authentication raises."""
        caller = self._authentication.caller(metadata_of(context.invocation_metadata()))
        if self._storage is None:
            raise NoAccounts("Files and batches need CHASQUI_ACCOUNTS, which this server does not have.")
        return self._storage, caller.identity
