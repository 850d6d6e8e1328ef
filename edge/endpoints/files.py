"""`/v1/files`: upload, list, describe, download and delete."""

from __future__ import annotations

import asyncio
from typing import IO, TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response, StreamingResponse

from edge.http.body import discard_body
from edge.http.call_options import CallOptions
from edge.http.upload import read_upload
from edge.openai.batch_schema import DeletedFile, file_body, file_page
from services.batches.requests import MOST_FILES, check_limit, store_file
from services.errors import ChasquiError, InvalidValue, NoAccounts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

    from edge.upstream.client import Upstream
    from services.batches.api import Storage


_PART_BYTES: Final = 256 * 1024


class StorageAccess:
    """Files and batches, which there are with `CHASQUI_ACCOUNTS` only, and whose they are."""

    def __init__(self, upstream: Upstream, storage: Storage | None) -> None:
        self._upstream = upstream
        self._storage = storage

    async def opened(self, request: Request) -> tuple[Storage, str]:
        """The storage, and the account of the caller; raises the chat server's refusal, or NoAccounts."""
        account = await self._upstream.account(CallOptions.from_headers(request.headers))
        if self._storage is None:
            raise NoAccounts("Files and batches need CHASQUI_ACCOUNTS, which this server does not have.")
        return self._storage, account


class Files:
    """The endpoints."""

    def __init__(self, access: StorageAccess) -> None:
        self._access = access

    async def upload(self, request: Request) -> Response:
        """Store a file whose lines are checked."""
        try:
            storage, account = await self._access.opened(request)
        except ChasquiError:
            await discard_body(request)
            raise
        upload = await read_upload(request, storage.max_file_bytes)
        try:
            purpose = upload.fields.get("purpose", "")
            stored = await asyncio.to_thread(store_file, storage, account, purpose, upload.filename, upload.file)
        finally:
            upload.file.close()
        return json_response(file_body(stored, storage.file_days))

    async def list(self, request: Request) -> Response:
        """A page of the caller's files."""
        storage, account = await self._access.opened(request)
        query = request.query_params
        order = query.get("order", "desc")
        if order not in {"asc", "desc"}:
            raise InvalidValue("order must be asc or desc.", param="order")
        limit = page_limit(query.get("limit"), MOST_FILES, MOST_FILES)
        files = await asyncio.to_thread(
            storage.files.page,
            account,
            purpose=query.get("purpose"),
            after=query.get("after"),
            limit=limit + 1,
            newest_first=order == "desc",
        )
        return json_response(file_page(files, limit, storage.file_days))

    async def get(self, request: Request) -> Response:
        """One file."""
        storage, account = await self._access.opened(request)
        stored = await asyncio.to_thread(storage.files.find, account, request.path_params["id"])
        return json_response(file_body(stored, storage.file_days))

    async def content(self, request: Request) -> Response:
        """What is in a file."""
        storage, account = await self._access.opened(request)
        stored = await asyncio.to_thread(storage.files.find, account, request.path_params["id"])
        file = await asyncio.to_thread(storage.files.open, stored.id)
        headers = {"content-length": str(stored.bytes)}
        return StreamingResponse(_parts(file), headers=headers, media_type="application/octet-stream")

    async def delete(self, request: Request) -> Response:
        """Delete a file."""
        storage, account = await self._access.opened(request)
        file_id = request.path_params["id"]
        await asyncio.to_thread(storage.files.delete, account, file_id)
        return json_response(DeletedFile(file_id))


async def _parts(file: IO[bytes]) -> AsyncGenerator[bytes, None]:
    with file:
        while data := await asyncio.to_thread(file.read, _PART_BYTES):
            yield data


def json_response(body: msgspec.Struct) -> Response:
    """A response with a body."""
    return Response(msgspec.json.encode(body), media_type="application/json")


def page_limit(text: str | None, default: int, most: int) -> int:
    """The number of entries of a page; InvalidValue if it is no number from 1 to `most`."""
    if text is None:
        return default
    # 0 is refused, and so is what is no number.
    return check_limit(int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0, most)
