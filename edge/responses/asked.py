"""From the body of a Responses request to the call to submit and the writer of its result; pure."""

from __future__ import annotations

import msgspec

from edge.api.asked import Asked, with_left_out
from edge.api.decode import decode_body
from edge.api.whole_answer import WholeAnswer
from edge.responses.field_table import FIELDS
from edge.responses.request import to_chat_request
from edge.responses.request_schema import ResponsesRequest
from edge.responses.response import template, whole
from edge.responses.response_writer import ResponseWriter


def asked_response(data: bytes) -> Asked:
    """A response; InvalidValue or UnsupportedParameter names the field that is wrong."""
    decoded = decode_body(ResponsesRequest, data, FIELDS)
    request, origins, left_out = to_chat_request(decoded.body)
    repeated = template(decoded.body)
    return Asked(
        [request],
        1,
        bool(decoded.body.stream),
        with_left_out(decoded.ignored, left_out),
        origins.field_of,
        lambda: ResponseWriter(repeated),
        lambda: WholeAnswer(lambda response, _: [msgspec.json.encode(whole(repeated, response))]),
    )
