"""The RPCs of BatchService."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from chasqui.v1 import batch_service_pb2, batch_service_pb2_grpc
from services.batches.requests import MOST_BATCHES, check_limit, create_batch
from services.chat.batches.messages import batch_message

if TYPE_CHECKING:
    from services.chat.batches.access import Context, StorageAccess

_PAGE: Final = 20


class BatchServicer(batch_service_pb2_grpc.BatchServiceServicer):
    """The batches of the caller's key. Everything in the database is done in threads."""

    def __init__(self, access: StorageAccess) -> None:
        self._access = access

    async def CreateBatch(  # noqa: N802 - the contract's name
        self, request: batch_service_pb2.CreateBatchRequest, context: Context
    ) -> batch_service_pb2.CreateBatchResponse:
        """Create a batch, which the runner takes next."""
        storage, account = self._access.opened(context)
        create = partial(
            create_batch,
            storage,
            account,
            input_file=request.input_file_id,
            endpoint=request.endpoint,
            window=request.completion_window,
            metadata=dict(request.metadata),
        )
        return batch_service_pb2.CreateBatchResponse(batch=batch_message(await asyncio.to_thread(create)))

    async def GetBatch(  # noqa: N802 - the contract's name
        self, request: batch_service_pb2.GetBatchRequest, context: Context
    ) -> batch_service_pb2.GetBatchResponse:
        """One batch."""
        storage, account = self._access.opened(context)
        batch = await asyncio.to_thread(storage.batches.find, account, request.id)
        return batch_service_pb2.GetBatchResponse(batch=batch_message(batch))

    async def ListBatches(  # noqa: N802 - the contract's name
        self, request: batch_service_pb2.ListBatchesRequest, context: Context
    ) -> batch_service_pb2.ListBatchesResponse:
        """A page of batches, newest first."""
        storage, account = self._access.opened(context)
        limit = check_limit(request.limit, MOST_BATCHES) if request.HasField("limit") else _PAGE
        find = partial(storage.batches.page, account, after=request.after or None, limit=limit + 1)
        found = await asyncio.to_thread(find)
        return batch_service_pb2.ListBatchesResponse(
            batches=[batch_message(each) for each in found[:limit]], has_more=len(found) > limit
        )

    async def CancelBatch(  # noqa: N802 - the contract's name
        self, request: batch_service_pb2.CancelBatchRequest, context: Context
    ) -> batch_service_pb2.CancelBatchResponse:
        """Begin to cancel a batch."""
        storage, account = self._access.opened(context)
        batch = await asyncio.to_thread(storage.batches.cancel, account, request.id)
        return batch_service_pb2.CancelBatchResponse(batch=batch_message(batch))
