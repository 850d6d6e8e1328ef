"""`GET /v1/models` and `GET /v1/models/{id}`, in OpenAI's shape, or in Anthropic's for its clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from edge.anthropic import paths, response
from edge.http.call_options import CallOptions
from edge.openai.answer_schema import ModelList
from edge.openai.response import model_body

if TYPE_CHECKING:
    from starlette.requests import Request

    from edge.upstream.client import Upstream


class Models:
    """Both endpoints."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def list(self, request: Request) -> Response:
        """All served models."""
        answer = await self._upstream.list_models(CallOptions.from_headers(request.headers))
        if paths.is_called(request.url.path, request.headers):
            return _json(response.model_list(answer.models))
        return _json(ModelList([model_body(model) for model in answer.models]))

    async def get(self, request: Request) -> Response:
        """One model by its id or an alias, which may contain slashes, raw or as %2F."""
        options = CallOptions.from_headers(request.headers)
        answer = await self._upstream.get_model(request.path_params["id"], options)
        if paths.is_called(request.url.path, request.headers):
            return _json(response.model_body(answer.model))
        return _json(model_body(answer.model))


def _json(body: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")
