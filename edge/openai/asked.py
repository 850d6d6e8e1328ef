"""From the body of a chat or text completion to the calls to submit and the writers of their results; pure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from chasqui.v1 import tool_pb2
from edge.api.asked import Asked
from edge.api.whole_answer import WholeAnswer
from edge.api.writer import ENCODER, around_text
from edge.openai.chunk_writer import ChunkWriter
from edge.openai.completion import CompletionSequence, WholeColumns, text_completion, to_prompt_requests
from edge.openai.constraint import field_of
from edge.openai.decode import decode_chat_request, decode_request
from edge.openai.request import to_chat_request
from edge.openai.request_schema import CompletionRequest, StreamOptionsBody
from edge.openai.response import ChunkSequence, WholeLogprobs, completion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chasqui.v1.chat_service_pb2 import ChatResponse
    from edge.openai.answer_schema import ChatCompletion, Completion, CompletionLogprobs, LogprobsBody
    from edge.openai.request_schema import GenerationRequest


def asked_chat(data: bytes) -> Asked:
    """A chat completion: one call. InvalidValue or UnsupportedParameter names the field that is wrong."""
    decoded = decode_chat_request(data)
    request = to_chat_request(decoded.body)
    n = request.n or 1
    decoded.body.messages = []  # which `request` has: `field_of` keeps the body for as long as the answer takes
    choice = request.tool_choice
    is_call_forced = bool(choice.function_name) or choice.mode == tool_pb2.TOOL_CHOICE_MODE_REQUIRED
    options = _stream_options(decoded.body)
    return Asked(
        [request],
        n,
        bool(decoded.body.stream),
        decoded.ignored,
        partial(field_of, decoded.body),
        lambda: ChunkWriter(ChunkSequence(n=n, is_call_forced=is_call_forced, **options)),
        lambda: WholeAnswer(_chat_parts, WholeLogprobs),
    )


def asked_completion(data: bytes) -> Asked:
    """A text completion: one call per prompt; errors as above."""
    decoded = decode_request(CompletionRequest, data)
    requests = to_prompt_requests(decoded.body)
    decoded.body.prompt = ""  # which `requests` have, as above
    n = requests[0].n or 1
    choices = n * len(requests)
    tops = bool(decoded.body.logprobs)
    options = _stream_options(decoded.body)
    return Asked(
        requests,
        n,
        bool(decoded.body.stream),
        decoded.ignored,
        partial(field_of, decoded.body),
        lambda: ChunkWriter(CompletionSequence(choices=choices, tops=tops, **options)),
        lambda: WholeAnswer(_text_parts, partial(WholeColumns, tops=tops)),
    )


def _stream_options(body: GenerationRequest) -> dict[str, bool | None]:
    options = body.stream_options or StreamOptionsBody()
    return {"include_usage": options.include_usage, "include_timings": options.include_timings}


def _chat_parts(response: ChatResponse, logprobs: Mapping[int, LogprobsBody]) -> Iterator[bytes]:
    return _parts(completion(response, logprobs))


def _text_parts(response: ChatResponse, logprobs: Mapping[int, CompletionLogprobs]) -> Iterator[bytes]:
    return _parts(text_completion(response, logprobs))


def _parts(answer: ChatCompletion | Completion) -> Iterator[bytes]:
    """The JSON of a whole response: a part for each choice, and what is around them."""
    before, after = around_text(lambda text: ENCODER.encode(msgspec.structs.replace(answer, choices=[text])))
    yield before
    for number, choice in enumerate(answer.choices):
        yield (b"," if number else b"") + ENCODER.encode(choice)
    yield after
