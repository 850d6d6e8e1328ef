"""`GET /healthz`, the edge process, and `GET /readyz`, the whole replica."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from services.errors import Unavailable

if TYPE_CHECKING:
    from starlette.requests import Request

    from edge.upstream.client import Upstream


class Health:
    """Both endpoints. `draining` is set when this process is about to stop."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self.draining = False

    async def live(self, _: Request) -> Response:
        """The process answers."""
        return JSONResponse({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """The chat server is healthy and nothing drains; 503 otherwise. Nothing is generated to find out."""
        if self.draining:
            raise Unavailable("The edge is shutting down.", reason="DRAINING", retry_after=1.0)
        if not self._upstream.ready:
            raise Unavailable("The chat server is not ready.", reason="NOT_READY", retry_after=1.0)
        return JSONResponse({"status": "ready"})
