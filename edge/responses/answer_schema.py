"""The JSON of Responses as typed structs: the response, its items, and the events of a stream."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct, field

from edge.openai.answer_schema import TokenLogprobBody  # noqa: TC001 - msgspec reads the fields' types


class OutputText(Struct, tag_field="type", tag="output_text"):
    """A text of the answer; `annotations` is always empty, `logprobs` unless they were asked for."""

    text: str
    annotations: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprobBody] = field(default_factory=list)


class OutputMessage(Struct, tag_field="type", tag="message"):
    """A message of the model."""

    id: str
    status: str
    content: list[OutputText]
    role: Literal["assistant"] = "assistant"


class OutputCall(Struct, tag_field="type", tag="function_call"):
    """A call of a function; `arguments` is JSON text."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: str


OutputItem = OutputMessage | OutputCall


class InputTokensDetails(Struct):
    """Those of the prompt's tokens that came from the engine's cache."""

    cached_tokens: int


class OutputTokensDetails(Struct):
    """Reasoning tokens are not counted apart from the others: the number is 0."""

    reasoning_tokens: int = 0


class ResponseUsage(Struct):
    """Token counts; `estimated_cost` is in USD."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int
    estimated_cost: float


class ResponseErrorBody(Struct):
    """Why a response has failed."""

    code: str
    message: str


class IncompleteDetails(Struct):
    """Why a response is incomplete."""

    reason: Literal["max_output_tokens"] = "max_output_tokens"


class ReasoningBody(Struct):
    """No reasoning is asked of the model."""

    effort: str | None = None
    summary: str | None = None


class ResponseObject(Struct, kw_only=True):
    """A response: its `status` is in_progress, completed, incomplete, failed or cancelled.

    It repeats fields of the request.
    """

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: str
    error: ResponseErrorBody | None = None
    incomplete_details: IncompleteDetails | None = None
    model: str
    output: list[OutputItem]
    usage: ResponseUsage | None = None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None = None
    metadata: dict[str, str]
    parallel_tool_calls: bool
    tools: Raw
    tool_choice: Raw
    text: Raw
    temperature: float
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    top_logprobs: int = 0
    truncation: Literal["disabled"] = "disabled"
    service_tier: str
    reasoning: ReasoningBody = field(default_factory=ReasoningBody)
    background: bool = False
    store: bool = False
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    user: str | None = None


class ResponseEvent(Struct, kw_only=True):
    """What the events of a stream share: they are numbered from 0."""

    sequence_number: int


class ResponseCreated(ResponseEvent, tag_field="type", tag="response.created", kw_only=True):
    """The call was accepted."""

    response: ResponseObject


class ResponseInProgress(ResponseEvent, tag_field="type", tag="response.in_progress", kw_only=True):
    """The model begins."""

    response: ResponseObject


class ResponseCompleted(ResponseEvent, tag_field="type", tag="response.completed", kw_only=True):
    """The last event: the whole response."""

    response: ResponseObject


class ResponseIncomplete(ResponseEvent, tag_field="type", tag="response.incomplete", kw_only=True):
    """The last event of a response that its limit has cut."""

    response: ResponseObject


class ResponseFailed(ResponseEvent, tag_field="type", tag="response.failed", kw_only=True):
    """The last event of a response that has failed."""

    response: ResponseObject


class OutputItemAdded(ResponseEvent, tag_field="type", tag="response.output_item.added", kw_only=True):
    """An item begins; there is one open item at a time."""

    output_index: int
    item: OutputItem


class OutputItemDone(ResponseEvent, tag_field="type", tag="response.output_item.done", kw_only=True):
    """The open item ends."""

    output_index: int
    item: OutputItem


class ContentPartAdded(ResponseEvent, tag_field="type", tag="response.content_part.added", kw_only=True):
    """The text of a message begins."""

    item_id: str
    output_index: int
    content_index: int = 0
    part: OutputText


class ContentPartDone(ResponseEvent, tag_field="type", tag="response.content_part.done", kw_only=True):
    """The text of a message ends."""

    item_id: str
    output_index: int
    content_index: int = 0
    part: OutputText


class OutputTextDelta(Struct, tag_field="type", tag="response.output_text.delta", kw_only=True):
    """The next text. The number stands last: the writer appends it."""

    item_id: str
    output_index: int
    content_index: int = 0
    delta: str
    logprobs: list[TokenLogprobBody] = field(default_factory=list)
    sequence_number: int


class OutputTextDone(ResponseEvent, tag_field="type", tag="response.output_text.done", kw_only=True):
    """The whole text of the open message."""

    item_id: str
    output_index: int
    content_index: int = 0
    text: str
    logprobs: list[TokenLogprobBody] = field(default_factory=list)


class ArgumentsDelta(ResponseEvent, tag_field="type", tag="response.function_call_arguments.delta", kw_only=True):
    """The next text of the open call's arguments."""

    item_id: str
    output_index: int
    delta: str


class ArgumentsDone(ResponseEvent, tag_field="type", tag="response.function_call_arguments.done", kw_only=True):
    """The whole arguments of the open call."""

    item_id: str
    output_index: int
    name: str
    arguments: str


StreamEvent = (
    ResponseCreated
    | ResponseInProgress
    | OutputItemAdded
    | ContentPartAdded
    | OutputTextDelta
    | OutputTextDone
    | ContentPartDone
    | ArgumentsDelta
    | ArgumentsDone
    | OutputItemDone
    | ResponseCompleted
    | ResponseIncomplete
    | ResponseFailed
)
