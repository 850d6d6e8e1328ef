"""Reads an upload, `multipart/form-data`, with the file on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from services.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from starlette.requests import Request

# Field names, boundaries and headers of the parts.
_FRAMING_BYTES: Final = 64 * 1024
_MOST_FIELDS: Final = 8
# Of a file that is too large the rest is read and discarded, up to twice its size and this: most clients read the
# response only after sending everything.
_MOST_DISCARDED: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """A file, in a temporary file without a name: nothing is left of it once it is closed; and the other fields."""

    file: IO[bytes]
    filename: str
    fields: Mapping[str, str]


async def read_upload(request: Request, most_bytes: int) -> Upload:
    """The upload, which the caller must close.

    HTTPException 415 unless it is a form, 413 if the file is too large; InvalidValue if there is no file. Raises
    starlette's ClientDisconnect if the caller disconnects before the end.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise HTTPException(415, "A file is uploaded as multipart/form-data.")
    size = 0

    async def counted() -> AsyncGenerator[bytes, None]:
        nonlocal size
        async for part in request.stream():
            size += len(part)
            if size <= most_bytes + _FRAMING_BYTES:
                yield part
            elif size > 2 * most_bytes + _MOST_DISCARDED:
                break
        if size > most_bytes + _FRAMING_BYTES:
            raise _too_large(most_bytes)

    parser = MultiPartParser(request.headers, counted(), max_files=1, max_fields=_MOST_FIELDS)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidValue(f"The form cannot be read: {error.message}", param="file") from error
    except KeyError as error:
        raise InvalidValue("The form has no boundary.", param="file") from error
    given = form.get("file")
    if not isinstance(given, UploadFile):
        await form.close()
        raise InvalidValue("file is missing.", param="file")
    if (given.size or 0) > most_bytes:
        await form.close()
        raise _too_large(most_bytes)
    fields: dict[str, Any] = {name: value for name, value in form.items() if isinstance(value, str)}
    return Upload(given.file, given.filename or "", fields)


def _too_large(most_bytes: int) -> HTTPException:
    return HTTPException(413, f"The file is larger than {most_bytes:,} bytes.")
