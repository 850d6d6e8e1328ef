"""Reads the body of a JSON request, counting bytes as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from services.settings import MAX_BODY_BYTES

if TYPE_CHECKING:
    from starlette.requests import Request


async def read_json_body(request: Request) -> bytes:
    """The body's bytes; HTTPException 415 unless they are declared as plain JSON, 413 when they are too many.

    Raises starlette's ClientDisconnect if the caller goes away in the middle.
    """
    content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise HTTPException(415, f"The content type is {content_type!r}, but must be application/json.")
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise HTTPException(415, f"The body is encoded as {encoding!r}, but must not be compressed.")
    too_large = HTTPException(413, f"The body is larger than {MAX_BODY_BYTES:,} bytes.")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise too_large
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise too_large
        parts.append(part)
    return b"".join(parts)
