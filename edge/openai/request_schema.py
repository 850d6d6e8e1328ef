"""The JSON of requests as typed structs: OpenAI's chat and text completions, vLLM's tokenize and detokenize."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct, field


def _unset() -> Raw:
    """Null and absent both mean unset."""
    return Raw(b"null")


class FunctionCallBody(Struct):
    """`function` of a tool call; `arguments` is a text that holds JSON, or that JSON itself."""

    name: str
    arguments: Raw = field(default_factory=_unset)


class ToolCallBody(Struct):
    """A tool call in an assistant message."""

    id: str
    function: FunctionCallBody
    type: Literal["function"] | None = None


class ContentPartBody(Struct):
    """A part of a message's content, of type "text" or "refusal"."""

    type: str
    text: str | None = None
    refusal: str | None = None


class MessageBody(Struct):
    """A message of the conversation."""

    role: str
    content: str | list[ContentPartBody] | None = None
    tool_calls: list[ToolCallBody] | None = None
    tool_call_id: str | None = None


class FunctionBody(Struct):
    """`function` of a tool; `parameters` is kept verbatim."""

    name: str
    description: str | None = None
    parameters: Raw = field(default_factory=_unset)
    strict: bool | None = None


class ToolBody(Struct):
    """A tool that the model may call; only those of type "function" are supported."""

    type: str
    function: FunctionBody | None = None


class NamedFunctionBody(Struct):
    """`function` of a tool choice."""

    name: str


class NamedToolBody(Struct):
    """A tool, by its name."""

    type: str
    function: NamedFunctionBody | None = None


class AllowedToolsBody(Struct):
    """`allowed_tools` of a tool choice: the tools that may be called, and whether one must be."""

    mode: Literal["auto", "required"]
    tools: list[NamedToolBody]


class ToolChoiceBody(Struct):
    """A tool choice: "function" with a function, or "allowed_tools" with several."""

    type: str
    function: NamedFunctionBody | None = None
    allowed_tools: AllowedToolsBody | None = None


class JsonSchemaBody(Struct):
    """`json_schema` of a response format; `schema` is kept verbatim."""

    name: str
    description: str | None = None
    schema: Raw = field(default_factory=_unset)
    strict: bool | None = None


class ResponseFormatBody(Struct):
    """The required form of the content; `schema` may stand beside json_object, and in place of `json_schema`."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaBody | None = None
    schema: Raw = field(default_factory=_unset)


class StructuredOutputsBody(Struct):
    """vLLM's `structured_outputs`: at most one of these."""

    json: Raw = field(default_factory=_unset)
    json_object: bool | None = None
    choice: list[str] | None = None
    regex: str | None = None
    grammar: str | None = None


class StreamOptionsBody(Struct):
    """Options of a stream."""

    include_usage: bool | None = None
    include_timings: bool | None = None
    continuous_usage_stats: bool | None = None


class SamplingRequest(Struct, kw_only=True):
    """How tokens are chosen."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    logit_bias: dict[str, float] | None = None


class GenerationRequest(SamplingRequest, kw_only=True):
    """The fields that chat and text completions share."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptionsBody | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool | None = None
    n: int | None = None
    user: str | None = None
    service_tier: str | None = None
    response_format: ResponseFormatBody | None = None
    structured_outputs: StructuredOutputsBody | None = None
    guided_json: Raw = field(default_factory=_unset)
    guided_choice: list[str] | None = None
    guided_regex: str | None = None
    guided_grammar: str | None = None
    grammar: str | None = None
    ebnf: str | None = None
    json_schema: Raw = field(default_factory=_unset)
    regex: str | None = None


class ChatCompletionRequest(GenerationRequest, kw_only=True):
    """A chat completion request; the fields that have an effect."""

    messages: list[MessageBody]
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[ToolBody] | None = None
    tool_choice: str | ToolChoiceBody | None = None
    parallel_tool_calls: bool | None = None
    continue_final_message: bool | None = None
    add_generation_prompt: bool | None = None


class CompletionRequest(GenerationRequest, kw_only=True):
    """A text completion request: one prompt or several, each a text or a list of token ids."""

    prompt: str | list[str | int | list[int]]
    echo: bool | None = None
    logprobs: int | None = None


class TokenizeRequest(Struct):
    """A text or a chat to tokenize."""

    model: str
    prompt: str | None = None
    messages: list[MessageBody] | None = None
    tools: list[ToolBody] | None = None
    add_special_tokens: bool | None = None
    continue_final_message: bool | None = None
    add_generation_prompt: bool | None = None
    return_token_strs: bool | None = None


class DetokenizeRequest(Struct):
    """Token ids to turn into text."""

    model: str
    tokens: list[int]
