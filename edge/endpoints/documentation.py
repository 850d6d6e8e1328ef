"""`GET /openapi.json`: the API's description, for programs."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request


class Documentation:
    """The endpoint; its body is built at the first request: that takes a tenth of the time in which a worker starts."""

    async def document(self, _: Request) -> Response:
        """The OpenAPI document."""
        return Response(await asyncio.to_thread(_document), media_type="application/json")


@cache
def _document() -> bytes:
    from edge.endpoints.openapi import openapi_document  # heavy, rarely needed

    return msgspec.json.encode(openapi_document())
