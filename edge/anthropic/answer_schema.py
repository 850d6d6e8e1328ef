"""The JSON of Messages responses as typed structs: messages, stream events, counts, models and errors."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType, field


class MessageUsage(Struct):
    """Token counts; the prompt's are the sum of the three of input. `estimated_cost` is in USD.

    Here and below, what is always null is of features that this service does not have, and required of an answer.
    """

    input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int = 0
    cache_creation: None = None
    output_tokens_details: None = None
    server_tool_use: None = None
    inference_geo: None = None
    service_tier: Literal["standard"] = "standard"
    estimated_cost: float | UnsetType = UNSET


class TextContent(Struct, tag_field="type", tag="text"):
    """A text of the answer; `citations` is always empty: where it is null Vercel's client refuses an answer."""

    text: str
    citations: list[str] = field(default_factory=list)


class DirectCaller(Struct, tag_field="type", tag="direct"):
    """The model itself, and no tool of its own, has made the call."""


class ToolUseContent(Struct, tag_field="type", tag="tool_use"):
    """A tool call; `input` is a JSON object."""

    id: str
    name: str
    input: Raw
    caller: DirectCaller = field(default_factory=DirectCaller)


class AnthropicMessage(Struct, tag_field="type", tag="message"):
    """An unstreamed response. `stop_sequence` is the one that matched."""

    id: str
    model: str
    content: list[TextContent | ToolUseContent]
    stop_reason: str | None
    stop_sequence: str | None
    usage: MessageUsage
    role: Literal["assistant"] = "assistant"
    stop_details: None = None
    container: None = None


class MessageStart(Struct, tag_field="type", tag="message_start"):
    """The beginning of a stream: the message without content, and the prompt's tokens."""

    message: AnthropicMessage


class ContentBlockStart(Struct, tag_field="type", tag="content_block_start"):
    """A block begins; there is one open block at a time."""

    index: int
    content_block: TextContent | ToolUseContent


class TextDelta(Struct, tag_field="type", tag="text_delta"):
    """The next text of a block."""

    text: str


class InputJsonDelta(Struct, tag_field="type", tag="input_json_delta"):
    """The next text of a call's input."""

    partial_json: str


class ContentBlockDelta(Struct, tag_field="type", tag="content_block_delta"):
    """What is added to the open block."""

    index: int
    delta: TextDelta | InputJsonDelta


class ContentBlockStop(Struct, tag_field="type", tag="content_block_stop"):
    """The open block ends."""

    index: int


class StopBody(Struct):
    """Why the message ended."""

    stop_reason: str | None
    stop_sequence: str | None


class MessageDelta(Struct, tag_field="type", tag="message_delta"):
    """The end of the message: why, and its usage, which is cumulative."""

    delta: StopBody
    usage: MessageUsage


class MessageStop(Struct, tag_field="type", tag="message_stop"):
    """The end of the stream."""


class Ping(Struct, tag_field="type", tag="ping"):
    """Sent while a stream is silent."""


class AnthropicErrorDetails(Struct):
    """The kind of error, finer than its type, and the path of the field that caused it."""

    error_code: str | None
    param: str | None


class AnthropicErrorBody(Struct):
    """An error."""

    type: str
    message: str
    details: AnthropicErrorDetails


class AnthropicError(Struct, tag_field="type", tag="error"):
    """The body of every error, and the event that ends a stream which fails."""

    error: AnthropicErrorBody


StreamEvent = (
    MessageStart
    | ContentBlockStart
    | ContentBlockDelta
    | ContentBlockStop
    | MessageDelta
    | MessageStop
    | Ping
    | AnthropicError
)


class MessageTokensCount(Struct):
    """The tokens of a request's prompt."""

    input_tokens: int


class AnthropicModel(Struct, tag_field="type", tag="model"):
    """A served model. `max_input_tokens` is the context length."""

    id: str
    display_name: str
    created_at: str
    max_input_tokens: int
    max_tokens: int


class AnthropicModelList(Struct):
    """All served models, on one page."""

    data: list[AnthropicModel]
    first_id: str | None
    last_id: str | None
    has_more: bool = False
