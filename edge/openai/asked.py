"""From a request body to the calls to submit and the writers of their results; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chasqui.v1 import tool_pb2
from edge.openai.completion import CompletionSequence, text_completion, to_prompt_requests
from edge.openai.constraint import form_field
from edge.openai.decode import decode_chat_request, decode_request
from edge.openai.request import to_chat_request
from edge.openai.request_schema import CompletionRequest, StreamOptionsBody
from edge.openai.response import ChunkSequence, completion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chasqui.v1.chat_service_pb2 import ChatRequest, ChatResponse
    from edge.openai.answer_schema import ChatCompletion, Completion
    from edge.openai.request_schema import GenerationRequest
    from edge.openai.sse import Chunks


@dataclass(frozen=True, slots=True)
class Asked:
    """The calls of one HTTP request, each with `n` choices.

    `ignored` holds the paths of unknown fields; `form_field` is the field that demands the form of the content.
    """

    requests: Sequence[ChatRequest]
    n: int
    streamed: bool
    ignored: Sequence[str]
    form_field: str
    chunks: Chunks
    whole: Callable[[ChatResponse], ChatCompletion | Completion]


def asked_chat(data: bytes) -> Asked:
    """A chat completion: one call. InvalidValue or UnsupportedParameter names the field that is wrong."""
    decoded = decode_chat_request(data)
    request = to_chat_request(decoded.body)
    n = request.n or 1
    choice = request.tool_choice
    is_call_forced = bool(choice.function_name) or choice.mode == tool_pb2.TOOL_CHOICE_MODE_REQUIRED
    chunks = ChunkSequence(n=n, is_call_forced=is_call_forced, **_stream_options(decoded.body))
    field = form_field(decoded.body, request)
    return Asked([request], n, bool(decoded.body.stream), decoded.ignored, field, chunks, completion)


def asked_completion(data: bytes) -> Asked:
    """A text completion: one call per prompt; errors as above."""
    decoded = decode_request(CompletionRequest, data)
    requests = to_prompt_requests(decoded.body)
    n = requests[0].n or 1
    chunks = CompletionSequence(choices=n * len(requests), **_stream_options(decoded.body))
    field = form_field(decoded.body, requests[0])
    return Asked(requests, n, bool(decoded.body.stream), decoded.ignored, field, chunks, text_completion)


def _stream_options(body: GenerationRequest) -> dict[str, bool | None]:
    options = body.stream_options or StreamOptionsBody()
    return {"include_usage": options.include_usage, "include_timings": options.include_timings}
