"""`GET /openapi.json`: the API's description, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from edge.endpoints.openapi import openapi_document

if TYPE_CHECKING:
    from starlette.requests import Request


class Documentation:
    """The endpoint; its body is built once, at start."""

    def __init__(self) -> None:
        self._document = msgspec.json.encode(openapi_document())

    async def document(self, _: Request) -> Response:
        """The OpenAPI document."""
        return Response(self._document, media_type="application/json")
