"""From the body of a Responses request to the call to submit and the writer of its result."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from edge.api.asked import Asked, with_left_out
from edge.api.decode import DecodedRequest, decode_body
from edge.api.whole_answer import OrderedAnswer
from edge.openai.response import WholeLogprobs
from edge.responses import items
from edge.responses.field_table import FIELDS
from edge.responses.keeping import KeptAnswer, KeptStream
from edge.responses.request import to_chat_request
from edge.responses.request_schema import ResponsesRequest
from edge.responses.response import template, whole
from edge.responses.response_writer import ResponseWriter
from services.errors import UnsupportedParameter
from services.responses.record import StoredResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge.api.asked import Keeping
    from edge.api.whole_answer import WholeAnswer
    from edge.responses.answer_schema import ResponseObject
    from services.responses.api import Responses

Decoded = DecodedRequest[ResponsesRequest]


def decoded_response(data: bytes) -> Decoded:
    """The request; InvalidValue or UnsupportedParameter names the field that is wrong."""
    return decode_body(ResponsesRequest, data, FIELDS)


def asked_response(data: bytes) -> Asked:
    """A response where none is stored; errors as above."""
    decoded = decoded_response(data)
    for name, value in (("store", decoded.body.store), ("previous_response_id", decoded.body.previous_response_id)):
        if value:
            raise UnsupportedParameter(
                f"{name} is not supported here: no response is stored. Send the whole conversation in input.",
                param=name,
            )
    return unstored(decoded)


def unstored(decoded: Decoded, conversation: Sequence[StoredResponse] = ()) -> Asked:
    """A response that continues a conversation and is not stored; errors as above."""
    repeated = template(decoded.body, store=False)
    return _asked(decoded, conversation, partial(ResponseWriter, repeated), partial(_answer, repeated))


def stored(decoded: Decoded, conversation: Sequence[StoredResponse], responses: Responses, account: str) -> Asked:
    """The same for one that is stored at its end, for the account."""
    body = decoded.body
    repeated = template(body, store=True)
    writer, answer = ResponseWriter(repeated), _answer(repeated)
    begun = StoredResponse(
        id="",
        account=account,
        created_at=datetime.now(UTC),
        input=items.kept(body.input),
        body="",
        previous=body.previous_response_id,
        depth=len(conversation) + 1,
        conversation_characters=conversation[-1].conversation_characters if conversation else 0,
    )
    keeping: Keeping = (
        KeptStream(responses, begun, repeated, writer)
        if body.stream
        else KeptAnswer(responses, begun, repeated, answer)
    )
    return _asked(decoded, conversation, lambda: writer, lambda: answer, keeping)


def _asked(
    decoded: Decoded,
    conversation: Sequence[StoredResponse],
    new_writer: Callable[[], ResponseWriter],
    new_answer: Callable[[], WholeAnswer],
    keeping: Keeping | None = None,
) -> Asked:
    request, origins, left_out = to_chat_request(decoded.body, items.history(conversation))
    return Asked(
        [request],
        1,
        bool(decoded.body.stream),
        with_left_out(decoded.ignored, left_out),
        origins.field_of,
        new_writer,
        new_answer,
        keeping,
    )


def _answer(repeated: ResponseObject) -> WholeAnswer:
    return OrderedAnswer(
        lambda response, parts, logprobs: msgspec.json.encode(whole(repeated, response, parts, logprobs)),
        WholeLogprobs,
    )
