"""`GET /openapi.json` and `GET /docs`: the API's description, for programs and for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response

from edge.openai.openapi import openapi_document

if TYPE_CHECKING:
    from starlette.requests import Request

_PAGE: Final = Path(__file__).parent / "web" / "docs.html"
# The page loads nothing: it works without a network, and no third-party script can run in it.
_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Documentation:
    """Both endpoints; their bodies are built once, at start."""

    def __init__(self) -> None:
        self._document = msgspec.json.encode(openapi_document())
        self._page = _PAGE.read_bytes()

    async def document(self, _: Request) -> Response:
        """The OpenAPI document."""
        return Response(self._document, media_type="application/json")

    async def page(self, _: Request) -> Response:
        """The page that shows the document and sends requests from a browser."""
        return Response(self._page, 200, {"content-security-policy": _POLICY}, "text/html; charset=utf-8")
