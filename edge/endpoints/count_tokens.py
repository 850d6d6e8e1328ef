"""`POST /v1/messages/count_tokens`: the tokens of a prompt, as the `message_start` of its answer would have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from edge.anthropic.answer_schema import MessageTokensCount
from edge.anthropic.asked import asked_count
from edge.api.asked import errors_named
from edge.http.call_options import CallOptions
from edge.http.ignored import ignored_header

if TYPE_CHECKING:
    from starlette.requests import Request

    from edge.endpoints.gate import Gate
    from edge.upstream.client import Upstream


class CountTokens:
    """The endpoint."""

    def __init__(self, gate: Gate, upstream: Upstream) -> None:
        self._gate = gate
        self._upstream = upstream

    async def count(self, request: Request) -> Response:
        """Count the tokens of the system prompt, messages and tools."""
        options = CallOptions.from_headers(request.headers)
        wanted, ignored, field_of = await self._gate.decoded(request, options, asked_count)
        with errors_named(field_of):
            counted = await self._upstream.count_tokens(wanted, options)
        body = msgspec.json.encode(MessageTokensCount(counted.count))
        return Response(body, 200, ignored_header(ignored), "application/json")
