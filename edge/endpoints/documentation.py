"""`GET /openapi.json` and `GET /docs`: what the API is, for programs and for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response

from edge.openai.openapi import openapi_document

if TYPE_CHECKING:
    from starlette.requests import Request

_PAGE: Final = Path(__file__).parent / "web" / "docs.html"
# Everything is in the page itself: it works without a network, and nothing foreign runs in it.
_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Documentation:
    """The two pages, made once."""

    def __init__(self) -> None:
        self._document = msgspec.json.encode(openapi_document())
        self._page = _PAGE.read_bytes()

    async def document(self, _: Request) -> Response:
        """The OpenAPI document."""
        return Response(self._document, media_type="application/json")

    async def page(self, _: Request) -> Response:
        """A page to read the document and to try the API in a browser."""
        return Response(self._page, 200, {"content-security-policy": _POLICY}, "text/html; charset=utf-8")
