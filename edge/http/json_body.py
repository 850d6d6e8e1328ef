"""The body of an unstreamed response: JSON that is sent in writes of a bounded size."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import Send

# Bytes that are encoded or written before other calls have their turn.
_WRITE: Final = 256 * 1024


async def send_json(send: Send, parts: Iterable[bytes], headers: Mapping[str, str]) -> None:
    """Send a response with status 200 whose body is `parts`, which may be made as they are taken."""
    body = [b""]
    size = 0
    for part in parts:
        size += len(part)
        if len(body[-1]) + len(part) <= _WRITE:
            body[-1] += part
            continue
        body += [part[start : start + _WRITE] for start in range(0, len(part), _WRITE)]
        await asyncio.sleep(0)
    all_headers = {"content-type": "application/json", "content-length": str(size), **headers}
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in all_headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": encoded})
    for write in body[:-1]:
        await send({"type": "http.response.body", "body": write, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": body[-1], "more_body": False})
