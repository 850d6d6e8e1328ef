"""The response header in which Anthropic's clients look for the id of their request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

from edge.anthropic import paths
from edge.http.exchange import current_exchange

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER: Final = "request-id"


class RequestId:
    """ASGI middleware, inside of the observer: on Anthropic's paths responses have the id in `request-id`, too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        exchange = current_exchange.get(None)  # probes have none
        if exchange is None or not paths.is_called(scope["path"], Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        header = (HEADER.encode(), exchange.request_id.encode())

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], header]
            await send(message)

        await self._app(scope, receive, send_named)
