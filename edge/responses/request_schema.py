"""The JSON of Responses requests as typed structs."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct, field

from edge.openai.request_schema import SamplingRequest


def _unset() -> Raw:
    """Null and absent both mean unset."""
    return Raw(b"null")


class InputPartBody(Struct):
    """A part of a content: "input_text", "output_text", "text" or "refusal"."""

    type: str
    text: str | None = None
    refusal: str | None = None


class InputItemBody(Struct):
    """An item of the conversation: a message, which may have no type, a call of a function, or its output."""

    type: str | None = None
    role: str | None = None
    content: str | list[InputPartBody] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[InputPartBody] | None = None


class FunctionToolBody(Struct):
    """A tool that the model may call; `parameters` is kept verbatim. Types other than "function" are left out."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: Raw = field(default_factory=_unset)
    strict: bool | None = None


class FunctionNameBody(Struct, omit_defaults=True):
    """A tool, by its name."""

    type: str
    name: str | None = None


class FunctionChoiceBody(Struct, omit_defaults=True):
    """A tool choice: "function" with a name, or "allowed_tools" with a mode and several tools."""

    type: str
    name: str | None = None
    mode: Literal["auto", "required"] | None = None
    tools: list[FunctionNameBody] | None = None


class TextFormatBody(Struct):
    """The form of the content; `schema` is kept verbatim."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: Raw = field(default_factory=_unset)
    strict: bool | None = None


class TextConfigBody(Struct):
    """`text`."""

    format: TextFormatBody | None = None


class ResponsesRequest(SamplingRequest, kw_only=True):
    """A request of `POST /v1/responses`; what the answer repeats is kept verbatim."""

    model: str
    input: str | list[InputItemBody]
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    tools: list[FunctionToolBody] | None = None
    tool_choice: str | FunctionChoiceBody | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfigBody | None = None
    include: list[str] | None = None
    top_logprobs: int | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    user: str | None = None
