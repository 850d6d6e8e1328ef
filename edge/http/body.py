"""Reads the body of a JSON request, counting bytes as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from services.settings import MAX_BODY_BYTES

if TYPE_CHECKING:
    from starlette.requests import Request

# Up to this size, a body that is too large is still read, and discarded: most clients read the response only after
# sending everything, and report a connection that is closed earlier as a network failure.
_MAX_DISCARDED_BYTES = 8 * MAX_BODY_BYTES


async def discard_body(request: Request) -> None:
    """Read what the caller sends, up to the largest body, so that it reads the response then."""
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            break


async def read_json_body(request: Request) -> bytes:
    """The body; HTTPException 415 unless it is JSON and not compressed (Envoy inflates gzip), 413 if it is too large.

    Raises starlette's ClientDisconnect if the caller disconnects before the end. A body of the length that was
    announced is complete: its end may come in a frame of its own.
    """
    content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise HTTPException(415, f"The content type is {content_type[:80]!r}, but must be application/json.")
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise HTTPException(415, f"The body is encoded as {encoding[:40]!r}, but must be gzip or not encoded.")
    announced = request.headers.get("content-length", "")
    parts: list[bytes] = []
    size = 0
    more = True
    while more and size <= _MAX_DISCARDED_BYTES:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size <= MAX_BODY_BYTES:
            parts.append(part)
        more = message.get("more_body", False) and str(size) != announced
    if size > MAX_BODY_BYTES:
        raise HTTPException(413, f"The body is larger than {MAX_BODY_BYTES:,} bytes.")
    return b"".join(parts)
