"""The RPCs of KeyService."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from chasqui.v1 import key_service_pb2, key_service_pb2_grpc
from services.chat.accounts.database_work import done
from services.chat.accounts.key_messages import changes_of, key_message, new_key
from services.errors import InvalidValue
from services.telemetry.call import current_call

if TYPE_CHECKING:
    from services.accounts.api import KeyStore
    from services.accounts.keys.key import Key

log = logging.getLogger(__name__)

MOST_KEYS: Final = 1000
_LONGEST_OVERLAP: Final = timedelta(days=365)


class KeyServicer(key_service_pb2_grpc.KeyServiceServicer):
    """What `chasqui keys` does, for other programs of the operator; the admin server has checked the admin key."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys

    async def CreateKey(  # noqa: N802 - the contract's name
        self, request: key_service_pb2.CreateKeyRequest, _: object
    ) -> key_service_pb2.CreateKeyResponse:
        """Create a key."""
        secret = await done(lambda: self._keys.create(new_key(request)))
        _log("created", request.name)
        return key_service_pb2.CreateKeyResponse(key=await self._described(request.name), secret=secret)

    async def ListKeys(  # noqa: N802 - the contract's name
        self, request: key_service_pb2.ListKeysRequest, _: object
    ) -> key_service_pb2.ListKeysResponse:
        """List keys."""
        if not 0 <= request.page_size <= MOST_KEYS:
            raise InvalidValue(f"page_size must be from 0 to {MOST_KEYS:,}.", param="page_size")
        size = request.page_size or MOST_KEYS
        keys = await done(lambda: self._keys.all(request.page_token, size + 1))
        page = keys[:size]
        return key_service_pb2.ListKeysResponse(
            keys=await self._messages(page), next_page_token=page[-1].name if len(keys) > size else ""
        )

    async def GetKey(  # noqa: N802 - the contract's name
        self, request: key_service_pb2.GetKeyRequest, _: object
    ) -> key_service_pb2.GetKeyResponse:
        """Describe a key."""
        return key_service_pb2.GetKeyResponse(key=await self._described(request.name))

    async def UpdateKey(  # noqa: N802 - the contract's name
        self, request: key_service_pb2.UpdateKeyRequest, _: object
    ) -> key_service_pb2.UpdateKeyResponse:
        """Change what a key may do."""
        if not request.update_mask.paths:
            raise InvalidValue("update_mask must name at least one field of rights.", param="update_mask")
        changes = changes_of(request.rights, request.update_mask.paths)
        await done(lambda: self._keys.change(request.name, changes))
        _log("changed", request.name)
        return key_service_pb2.UpdateKeyResponse(key=await self._described(request.name))

    async def RevokeKey(  # noqa: N802 - the contract's name
        self, request: key_service_pb2.RevokeKeyRequest, _: object
    ) -> key_service_pb2.RevokeKeyResponse:
        """End a key for good."""
        await done(lambda: self._keys.revoke(request.name))
        _log("revoked", request.name)
        return key_service_pb2.RevokeKeyResponse(key=await self._described(request.name))

    async def RotateKey(  # noqa: N802 - the contract's name
        self, request: key_service_pb2.RotateKeyRequest, _: object
    ) -> key_service_pb2.RotateKeyResponse:
        """Give a key a new secret."""
        if not 0 <= request.overlap.seconds <= _LONGEST_OVERLAP.total_seconds() or request.overlap.nanos < 0:
            raise InvalidValue(f"overlap must be from 0 to {_LONGEST_OVERLAP.days} days.", param="overlap")
        overlap = timedelta(seconds=request.overlap.seconds, microseconds=request.overlap.nanos // 1000)
        secret = await done(lambda: self._keys.rotate(request.name, overlap))
        _log("rotated", request.name)
        return key_service_pb2.RotateKeyResponse(key=await self._described(request.name), secret=secret)

    async def _described(self, name: str) -> key_service_pb2.Key:
        key = await done(lambda: self._keys.find(name))
        [message] = await self._messages([key])
        return message

    async def _messages(self, keys: list[Key]) -> list[key_service_pb2.Key]:
        prefixes = await done(lambda: self._keys.prefixes([key.name for key in keys]))
        return [key_message(key, prefixes.get(key.name, ())) for key in keys]


def _log(what: str, name: str) -> None:
    """Log what was done to a key, and by which request; never a secret."""
    log.info("a key was %s", what, extra={"fields": {"key": name, "request_id": current_call.get().request_id}})
