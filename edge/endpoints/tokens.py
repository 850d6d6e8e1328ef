"""`POST /tokenize` and `POST /detokenize`, in the shapes of vLLM."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from chasqui.v1 import model_service_pb2
from edge.http.call_options import CallOptions
from edge.http.ignored import ignored_header
from edge.openai.answer_schema import DetokenizeAnswer, TokenizeAnswer
from edge.openai.decode import decode_request
from edge.openai.request import to_count_request, token_id
from edge.openai.request_schema import DetokenizeRequest, TokenizeRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from edge.endpoints.gate import Gate
    from edge.upstream.client import Upstream


class Tokens:
    """Both endpoints."""

    def __init__(self, gate: Gate, upstream: Upstream) -> None:
        self._gate = gate
        self._upstream = upstream

    async def tokenize(self, request: Request) -> Response:
        """Tokenize a text or a chat."""
        options = CallOptions.from_headers(request.headers)
        decoded = await self._gate.decoded(request, options, partial(decode_request, TokenizeRequest))
        counted = await self._upstream.count_tokens(to_count_request(decoded.body), options)
        texts = list(counted.texts) if decoded.body.return_token_strs else None
        answer = TokenizeAnswer(list(counted.tokens), counted.count, counted.context_length, texts)
        return _json(answer, decoded.ignored)

    async def detokenize(self, request: Request) -> Response:
        """Turn token ids into text."""
        options = CallOptions.from_headers(request.headers)
        decoded = await self._gate.decoded(request, options, partial(decode_request, DetokenizeRequest))
        body = decoded.body
        answer = await self._upstream.detokenize(
            model_service_pb2.DetokenizeRequest(
                model=body.model, tokens=[token_id(str(token), "tokens") for token in body.tokens]
            ),
            options,
        )
        return _json(DetokenizeAnswer(answer.text), decoded.ignored)


def _json(body: msgspec.Struct, ignored: Sequence[str]) -> Response:
    return Response(msgspec.json.encode(body), 200, ignored_header(ignored), "application/json")
