"""`/v1/files`: upload, list, describe, download and delete."""

from __future__ import annotations

import asyncio
from typing import IO, TYPE_CHECKING, Final

import msgspec
from starlette.responses import FileResponse, Response

from edge.batches.line import first_error, read_lines
from edge.http.body import discard_body
from edge.http.call_options import CallOptions
from edge.http.upload import read_upload
from edge.openai.batch_schema import DeletedFile, file_body, file_page
from services.errors import ChasquiError, InvalidValue, NoAccounts

if TYPE_CHECKING:
    from starlette.requests import Request

    from edge.http.upload import Upload
    from edge.upstream.client import Upstream
    from services.batches.api import Storage
    from services.batches.record import StoredFile

_PURPOSES: Final = ("batch",)
_LONGEST_NAME: Final = 256
_PAGE: Final = 10_000


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
            purpose = _purpose(upload)
            stored = await asyncio.to_thread(_store, storage, account, purpose, upload)
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
        limit = page_limit(query.get("limit"), _PAGE, _PAGE)
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
        return FileResponse(storage.files.path(stored.id), media_type="application/octet-stream")

    async def delete(self, request: Request) -> Response:
        """Delete a file."""
        storage, account = await self._access.opened(request)
        file_id = request.path_params["id"]
        await asyncio.to_thread(storage.files.delete, account, file_id)
        return json_response(DeletedFile(file_id))


def json_response(body: msgspec.Struct) -> Response:
    """A response with a body."""
    return Response(msgspec.json.encode(body), media_type="application/json")


def page_limit(text: str | None, default: int, most: int) -> int:
    """The number of entries of a page; InvalidValue if it is no number from 1 to `most`."""
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise InvalidValue(f"limit must be a number from 1 to {most:,}.", param="limit")
    return int(text)


def _purpose(upload: Upload) -> str:
    purpose = upload.fields.get("purpose", "")
    if purpose not in _PURPOSES:
        raise InvalidValue(f"purpose must be {' or '.join(_PURPOSES)}.", param="purpose")
    return purpose


def _store(storage: Storage, account: str, purpose: str, upload: Upload) -> StoredFile:
    """Store a file; InvalidValue names its first wrong line."""
    wrong = first_error(read_lines("", _rewound(upload.file)))
    if wrong is not None:
        raise InvalidValue(wrong.error.message, param="file")
    filename = upload.filename[:_LONGEST_NAME] or "file.jsonl"
    return storage.files.create(account, purpose, filename, _rewound(upload.file))


def _rewound(file: IO[bytes]) -> IO[bytes]:
    file.seek(0)
    return file
