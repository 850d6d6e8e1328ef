"""`POST /tokenize` and `POST /detokenize`, in the shapes of vLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from chasqui.v1 import model_service_pb2
from edge.http.body import read_json_body
from edge.http.call_options import CallOptions
from edge.http.ignored import ignored_header
from edge.openai.answer_schema import DetokenizeAnswer, TokenizeAnswer
from edge.openai.decode import decode_request
from edge.openai.request import token_id
from edge.openai.request_schema import DetokenizeRequest, TokenizeRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from edge.upstream.client import Upstream


class Tokens:
    """Both endpoints."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def tokenize(self, request: Request) -> Response:
        """Tokenize a text."""
        decoded = decode_request(TokenizeRequest, await read_json_body(request))
        body = decoded.body
        counted = await self._upstream.count_tokens(
            model_service_pb2.CountTokensRequest(
                model=body.model,
                text=body.prompt,
                include_tokens=True,
                add_special_tokens=body.add_special_tokens is not False,
            ),
            CallOptions.from_headers(request.headers),
        )
        answer = TokenizeAnswer(list(counted.tokens), counted.count, counted.context_length)
        return _json(answer, decoded.ignored)

    async def detokenize(self, request: Request) -> Response:
        """Turn token ids into text."""
        decoded = decode_request(DetokenizeRequest, await read_json_body(request))
        body = decoded.body
        answer = await self._upstream.detokenize(
            model_service_pb2.DetokenizeRequest(
                model=body.model, tokens=[token_id(str(token), "tokens") for token in body.tokens]
            ),
            CallOptions.from_headers(request.headers),
        )
        return _json(DetokenizeAnswer(answer.text), decoded.ignored)


def _json(body: msgspec.Struct, ignored: Sequence[str]) -> Response:
    return Response(msgspec.json.encode(body), 200, ignored_header(ignored), "application/json")
