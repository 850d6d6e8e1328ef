"""`POST /tokenize` and `POST /detokenize`, in the shapes of vLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response

from chasqui.v1 import model_service_pb2
from edge.http.call_options import CallOptions
from edge.http.ignored import ignored_header
from edge.openai.answer_schema import DetokenizeAnswer, TokenizeAnswer
from edge.openai.decode import decode_request
from edge.openai.request import to_count_request, token_ids
from edge.openai.request_schema import DetokenizeRequest, TokenizeRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from edge.endpoints.gate import Gate
    from edge.upstream.client import Upstream

# About what one takes in an answer.
_TOKEN_BYTES: Final = 8


class Tokens:
    """Both endpoints."""

    def __init__(self, gate: Gate, upstream: Upstream) -> None:
        self._gate = gate
        self._upstream = upstream

    async def tokenize(self, request: Request) -> Response:
        """Tokenize a text or a chat."""
        options = CallOptions.from_headers(request.headers)
        wanted, ignored = await self._gate.decoded(request, options, _to_count)
        counted = await self._upstream.count_tokens(wanted, options)

        def encode() -> bytes:
            texts = list(counted.texts) if wanted.include_texts else None
            answer = TokenizeAnswer(list(counted.tokens), counted.count, counted.context_length, texts)
            return msgspec.json.encode(answer)

        body = await self._gate.translated(_TOKEN_BYTES * counted.count, encode)
        return Response(body, 200, ignored_header(ignored), "application/json")

    async def detokenize(self, request: Request) -> Response:
        """Turn token ids into text."""
        options = CallOptions.from_headers(request.headers)
        wanted, ignored = await self._gate.decoded(request, options, _to_detokenize)
        answer = await self._upstream.detokenize(wanted, options)
        body = msgspec.json.encode(DetokenizeAnswer(answer.text))
        return Response(body, 200, ignored_header(ignored), "application/json")


def _to_count(data: bytes) -> tuple[model_service_pb2.CountTokensRequest, Sequence[str]]:
    """The request in a body, and the paths of unknown fields; InvalidValue names the field that is wrong."""
    decoded = decode_request(TokenizeRequest, data)
    return to_count_request(decoded.body), decoded.ignored


def _to_detokenize(data: bytes) -> tuple[model_service_pb2.DetokenizeRequest, Sequence[str]]:
    """The same for ids."""
    decoded = decode_request(DetokenizeRequest, data)
    tokens = token_ids(decoded.body.tokens, "tokens")
    return model_service_pb2.DetokenizeRequest(model=decoded.body.model, tokens=tokens), decoded.ignored
