"""The RPCs of FileService."""

from __future__ import annotations

import asyncio
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Final

from chasqui.v1 import file_service_pb2, file_service_pb2_grpc
from services.batches.requests import MOST_FILES, check_limit, store_file
from services.chat.batches.messages import file_message
from services.errors import DeadlineExceeded, InvalidValue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.chat.batches.access import Context, StorageAccess

_PART_BYTES: Final = 256 * 1024


class FileServicer(file_service_pb2_grpc.FileServiceServicer):
    """The files of the caller's key. Everything on disk and in the database is done in threads."""

    def __init__(self, access: StorageAccess, reader_timeout: float) -> None:
        """A caller that reads no part of a file for `reader_timeout` seconds is cut off."""
        self._access = access
        self._reader_timeout = reader_timeout

    async def UploadFile(  # noqa: N802 - the contract's name
        self, request_iterator: AsyncIterator[file_service_pb2.UploadFileRequest], context: Context
    ) -> file_service_pb2.UploadFileResponse:
        """Store a file whose lines are checked."""
        storage, account = self._access.opened(context)
        # Without a name: nothing is left of it once it is closed.
        with TemporaryFile() as file:
            new = await _received(request_iterator, file, storage.max_file_bytes)
            stored = await asyncio.to_thread(store_file, storage, account, new.purpose, new.filename, file)
        return file_service_pb2.UploadFileResponse(file=file_message(stored, storage.file_days))

    async def GetFile(  # noqa: N802 - the contract's name
        self, request: file_service_pb2.GetFileRequest, context: Context
    ) -> file_service_pb2.GetFileResponse:
        """One file."""
        storage, account = self._access.opened(context)
        stored = await asyncio.to_thread(storage.files.find, account, request.id)
        return file_service_pb2.GetFileResponse(file=file_message(stored, storage.file_days))

    async def ListFiles(  # noqa: N802 - the contract's name
        self, request: file_service_pb2.ListFilesRequest, context: Context
    ) -> file_service_pb2.ListFilesResponse:
        """A page of files."""
        storage, account = self._access.opened(context)
        limit = check_limit(request.limit, MOST_FILES) if request.HasField("limit") else MOST_FILES
        found = await asyncio.to_thread(
            storage.files.page,
            account,
            purpose=request.purpose or None,
            after=request.after or None,
            limit=limit + 1,
            newest_first=not request.oldest_first,
        )
        files = [file_message(each, storage.file_days) for each in found[:limit]]
        return file_service_pb2.ListFilesResponse(files=files, has_more=len(found) > limit)

    async def DownloadFile(  # type: ignore[override]  # noqa: N802 - grpc.aio takes coroutines that write too
        self, request: file_service_pb2.DownloadFileRequest, context: Context
    ) -> None:
        """What is in a file, in parts."""
        storage, account = self._access.opened(context)
        stored = await asyncio.to_thread(storage.files.find, account, request.id)
        with await asyncio.to_thread(storage.files.open, stored.id) as file:
            while data := await asyncio.to_thread(file.read, _PART_BYTES):
                try:
                    async with asyncio.timeout(self._reader_timeout):
                        await context.write(file_service_pb2.DownloadFileResponse(data=data))
                except TimeoutError:
                    raise DeadlineExceeded("The file was not read in time.") from None

    async def DeleteFile(  # noqa: N802 - the contract's name
        self, request: file_service_pb2.DeleteFileRequest, context: Context
    ) -> file_service_pb2.DeleteFileResponse:
        """Delete a file."""
        storage, account = self._access.opened(context)
        await asyncio.to_thread(storage.files.delete, account, request.id)
        return file_service_pb2.DeleteFileResponse()


async def _received(
    parts: AsyncIterator[file_service_pb2.UploadFileRequest], file: IO[bytes], most_bytes: int
) -> file_service_pb2.NewFile:
    """What the first part says, with the data of the others in `file`; InvalidValue if they are wrong or too large."""
    new: file_service_pb2.NewFile | None = None
    size = 0
    async for part in parts:
        kind = part.WhichOneof("part")
        if kind is None or (kind == "file") is not (new is None):
            raise InvalidValue("file comes in the first message, and data in those that follow.", param=kind or "part")
        if new is None:
            new = part.file
            continue
        size += len(part.data)
        if size > most_bytes:
            raise InvalidValue(f"The file is larger than {most_bytes:,} bytes.", param="data")
        await asyncio.to_thread(file.write, part.data)
    if new is None:
        raise InvalidValue("file is missing.", param="file")
    return new
