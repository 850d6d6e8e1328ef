"""From the body of a Messages request to the call to submit and the writer of its result; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chasqui.v1 import model_service_pb2
from edge.anthropic.field_table import FIELDS
from edge.anthropic.message_writer import MessageWriter
from edge.anthropic.request import to_chat_request, to_prompt
from edge.anthropic.request_schema import MessagesCountRequest, MessagesRequest
from edge.anthropic.response import message
from edge.api.asked import Asked, with_left_out
from edge.api.decode import decode_body
from edge.api.whole_answer import OrderedAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def asked_messages(data: bytes) -> Asked:
    """A message; InvalidValue or UnsupportedParameter names the field that is wrong."""
    decoded = decode_body(MessagesRequest, data, FIELDS)
    request, origins, left_out = to_chat_request(decoded.body)
    return Asked(
        [request],
        1,
        bool(decoded.body.stream),
        with_left_out(decoded.ignored, left_out),
        origins.field_of,
        MessageWriter,
        lambda: OrderedAnswer(lambda response, parts, _: msgspec.json.encode(message(response, parts))),
    )


def asked_count(
    data: bytes,
) -> tuple[model_service_pb2.CountTokensRequest, Sequence[str], Callable[[str], str]]:
    """The request to count a prompt's tokens, the paths of ignored fields, and the names of fields in errors."""
    decoded = decode_body(MessagesCountRequest, data, FIELDS)
    chat, origins, left_out = to_prompt(decoded.body)
    wanted = model_service_pb2.CountTokensRequest(model=decoded.body.model, chat=chat)
    return wanted, with_left_out(decoded.ignored, left_out), origins.field_of
