"""From the body of a chat or text completion to the calls to submit and the writers of their results; pure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from chasqui.v1 import tool_pb2
from edge.api.asked import Asked
from edge.openai.chunk_writer import ChunkWriter
from edge.openai.completion import CompletionSequence, text_completion, to_prompt_requests
from edge.openai.constraint import field_with_form, form_field
from edge.openai.decode import decode_chat_request, decode_request
from edge.openai.request import to_chat_request
from edge.openai.request_schema import CompletionRequest, StreamOptionsBody
from edge.openai.response import ChunkSequence, completion

if TYPE_CHECKING:
    from edge.openai.answer_schema import ChatCompletion, Completion
    from edge.openai.request_schema import GenerationRequest


def asked_chat(data: bytes) -> Asked:
    """A chat completion: one call. InvalidValue or UnsupportedParameter names the field that is wrong."""
    decoded = decode_chat_request(data)
    request = to_chat_request(decoded.body)
    n = request.n or 1
    choice = request.tool_choice
    is_call_forced = bool(choice.function_name) or choice.mode == tool_pb2.TOOL_CHOICE_MODE_REQUIRED
    chunks = ChunkSequence(n=n, is_call_forced=is_call_forced, **_stream_options(decoded.body))
    field_of = partial(field_with_form, form_field(decoded.body, request))
    writer, streamed = ChunkWriter(chunks), bool(decoded.body.stream)
    return Asked([request], n, streamed, decoded.ignored, field_of, writer, lambda answer: _encoded(completion(answer)))


def asked_completion(data: bytes) -> Asked:
    """A text completion: one call per prompt; errors as above."""
    decoded = decode_request(CompletionRequest, data)
    requests = to_prompt_requests(decoded.body)
    n = requests[0].n or 1
    chunks = CompletionSequence(choices=n * len(requests), **_stream_options(decoded.body))
    field_of = partial(field_with_form, form_field(decoded.body, requests[0]))
    writer, streamed = ChunkWriter(chunks), bool(decoded.body.stream)
    return Asked(
        requests, n, streamed, decoded.ignored, field_of, writer, lambda answer: _encoded(text_completion(answer))
    )


def _stream_options(body: GenerationRequest) -> dict[str, bool | None]:
    options = body.stream_options or StreamOptionsBody()
    return {"include_usage": options.include_usage, "include_timings": options.include_timings}


def _encoded(answer: ChatCompletion | Completion) -> bytes:
    """The JSON of a whole response. Choice by choice, because one call of the encoder lets no other thread run."""
    choices = [msgspec.Raw(msgspec.json.encode(choice)) for choice in answer.choices]
    return msgspec.json.encode(msgspec.structs.replace(answer, choices=choices))
