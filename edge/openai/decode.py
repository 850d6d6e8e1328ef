"""Decodes the requests of OpenAI's API, by its table of fields; pure."""

from __future__ import annotations

from edge.api.decode import Body, DecodedRequest, decode_body
from edge.openai.field_table import FIELDS
from edge.openai.request_schema import ChatCompletionRequest


def decode_chat_request(data: bytes) -> DecodedRequest[ChatCompletionRequest]:
    """The chat completion request in `data`; raises what `decode_body` raises."""
    return decode_request(ChatCompletionRequest, data)


def decode_request(kind: type[Body], data: bytes) -> DecodedRequest[Body]:
    """The request in `data`; raises what `decode_body` raises."""
    return decode_body(kind, data, FIELDS)
