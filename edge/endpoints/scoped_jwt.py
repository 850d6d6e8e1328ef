"""`/v1/scoped-jwt`: makes and describes scoped tokens of the caller's key, as the reference service does."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from edge.api.asked import errors_named
from edge.http.call_options import CallOptions
from edge.openai.scoped_jwt_schema import NAMES, ScopedJwt, scoped_jwt_body, to_create_request
from services.errors import InvalidValue, quoted

if TYPE_CHECKING:
    from starlette.requests import Request

    from edge.endpoints.gate import Gate
    from edge.upstream.client import Upstream


class ScopedJwts:
    """Both endpoints."""

    def __init__(self, gate: Gate, upstream: Upstream) -> None:
        self._gate = gate
        self._upstream = upstream

    async def create(self, request: Request) -> Response:
        """Sign a token with the caller's key."""
        options = CallOptions.from_headers(request.headers)
        decode = partial(to_create_request, now=time.time())
        wanted, name = await self._gate.decoded(request, options, decode)
        with errors_named(_field_of):
            created = await self._upstream.create_token(wanted, options)
        if name is not None and name != await self._upstream.account(options):
            raise InvalidValue(
                f"api_key_name is {quoted(name)}, but the key that asks is another; only it can sign.",
                param="api_key_name",
            )
        return _json(ScopedJwt(created.token))

    async def get(self, request: Request) -> Response:
        """Describe the token in the query parameter `jwtoken`."""
        for parameter in request.query_params:
            if parameter != "jwtoken":
                raise InvalidValue(f"The parameter {quoted(parameter)} is not jwtoken.", param=parameter[:80])
        token = request.query_params.get("jwtoken", "")
        with errors_named(_field_of):
            found = await self._upstream.get_token(token, CallOptions.from_headers(request.headers))
        return _json(scoped_jwt_body(found))


def _field_of(path: str) -> str:
    return NAMES.get(path, path)


def _json(body: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")
