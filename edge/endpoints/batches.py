"""`/v1/batches`: create, list, describe and cancel."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from edge.api.decode import decode_body
from edge.api.fields import Known, honoured, refused
from edge.endpoints.files import json_response, page_limit
from edge.http.body import discard_body, read_json_body
from edge.openai.batch_schema import BatchRequest, batch_body, batch_page
from services.batches.requests import MOST_BATCHES, create_batch
from services.errors import ChasquiError

if TYPE_CHECKING:
    from msgspec import Struct
    from starlette.requests import Request
    from starlette.responses import Response

    from edge.endpoints.files import StorageAccess

_FIELDS: Final[dict[type[Struct], dict[str, Known]]] = {
    BatchRequest: {
        "input_file_id": honoured("required", "a file with purpose batch"),
        "endpoint": honoured("required", "where the lines go"),
        "completion_window": honoured("required, 24h", "the time that the batch has"),
        "metadata": honoured("up to 16 pairs of texts", "kept and returned"),
        "output_expires_after": refused(),
    }
}
_PAGE: Final = 20


class Batches:
    """The endpoints."""

    def __init__(self, access: StorageAccess) -> None:
        self._access = access

    async def create(self, request: Request) -> Response:
        """Create a batch, which the runner takes next."""
        try:
            storage, account = await self._access.opened(request)
        except ChasquiError:
            await discard_body(request)
            raise
        body = decode_body(BatchRequest, await read_json_body(request), _FIELDS).body
        create = partial(
            create_batch,
            storage,
            account,
            input_file=body.input_file_id,
            endpoint=body.endpoint,
            window=body.completion_window,
            metadata=body.metadata or {},
        )
        return json_response(batch_body(await asyncio.to_thread(create)))

    async def list(self, request: Request) -> Response:
        """A page of the caller's batches, newest first."""
        storage, account = await self._access.opened(request)
        limit = page_limit(request.query_params.get("limit"), _PAGE, MOST_BATCHES)
        find = partial(storage.batches.page, account, after=request.query_params.get("after"), limit=limit + 1)
        return json_response(batch_page(await asyncio.to_thread(find), limit))

    async def get(self, request: Request) -> Response:
        """One batch."""
        storage, account = await self._access.opened(request)
        return json_response(batch_body(await asyncio.to_thread(storage.batches.find, account, _id(request))))

    async def cancel(self, request: Request) -> Response:
        """Begin to cancel a batch; lines that have an answer keep it."""
        storage, account = await self._access.opened(request)
        return json_response(batch_body(await asyncio.to_thread(storage.batches.cancel, account, _id(request))))


def _id(request: Request) -> str:
    return str(request.path_params["id"])
