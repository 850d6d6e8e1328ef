"""The JSON of Messages requests as typed structs."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct, field


def _unset() -> Raw:
    """Null and absent both mean unset."""
    return Raw(b"null")


class TextBlockBody(Struct):
    """A block of the system prompt, or of a tool's result; only those of type "text" are supported."""

    type: str
    text: str | None = None


class BlockBody(Struct):
    """A content block of a message: "text", "tool_use" or "tool_result", which has `content` and `is_error`.

    `input` is kept verbatim.
    """

    type: str
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = field(default_factory=_unset)
    tool_use_id: str | None = None
    content: str | list[TextBlockBody] | None = None
    is_error: bool | None = None


class TurnBody(Struct):
    """A message of the conversation."""

    role: str
    content: str | list[BlockBody]


class ClientToolBody(Struct):
    """A tool that the model may call; `input_schema` is kept verbatim. Types other than "custom" are left out."""

    name: str
    type: str | None = None
    description: str | None = None
    input_schema: Raw = field(default_factory=_unset)
    strict: bool | None = None


class UseOfToolsBody(Struct):
    """The tool choice; `name` belongs to "tool"."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class OutputFormatBody(Struct):
    """The form of the content; `schema` is kept verbatim."""

    type: Literal["json_schema"]
    schema: Raw = field(default_factory=_unset)


class OutputConfigBody(Struct):
    """`output_config`."""

    format: OutputFormatBody | None = None


class CallerBody(Struct):
    """`metadata`."""

    user_id: str | None = None


class PromptRequest(Struct, kw_only=True):
    """What the prompt is made of."""

    model: str
    messages: list[TurnBody]
    system: str | list[TextBlockBody] | None = None
    tools: list[ClientToolBody] | None = None
    tool_choice: UseOfToolsBody | None = None


class MessagesRequest(PromptRequest, kw_only=True):
    """A request of `POST /v1/messages`."""

    max_tokens: int
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: CallerBody | None = None
    output_config: OutputConfigBody | None = None
    output_format: OutputFormatBody | None = None


class MessagesCountRequest(PromptRequest, kw_only=True):
    """A request of `POST /v1/messages/count_tokens`."""
