"""`GET /healthz`: this process is alive. `GET /readyz`, `/health`, `/ping`: the replica serves. `GET /version`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from services import __version__
from services.errors import Unavailable

if TYPE_CHECKING:
    from starlette.requests import Request

    from edge.upstream.client import Upstream


class Health:
    """All endpoints. `draining` is true once this process is shutting down."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self.draining = False

    async def live(self, _: Request) -> Response:
        """200 while the process runs."""
        return JSONResponse({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """200 if the chat server is healthy and nothing is draining, else 503. No tokens are generated to find out."""
        if self.draining:
            raise Unavailable("The edge is shutting down.", reason="DRAINING", retry_after=1.0)
        if not self._upstream.ready:
            raise Unavailable("The chat server is not ready.", reason="NOT_READY", retry_after=1.0)
        return JSONResponse({"status": "ready"})

    async def healthy(self, request: Request) -> Response:
        """The same for clients of vLLM, SGLang and llama.cpp, with the status that the latter look for."""
        await self.ready(request)
        return JSONResponse({"status": "ok"})

    async def version(self, _: Request) -> Response:
        """The version of this service, in vLLM's shape."""
        return JSONResponse({"version": __version__})
