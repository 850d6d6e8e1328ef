"""The JSON of OpenAI's chat API as typed structs: what is read from a request, and what is written in an answer."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType, field

# An absent field and an explicit null mean the same: unset.
_NULL = Raw(b"null")


class FunctionCallBody(Struct):
    """`function` of a tool call in an assistant message; `arguments` is JSON text."""

    name: str
    arguments: str


class ToolCallBody(Struct):
    """A tool call in an assistant message of the history."""

    id: str
    function: FunctionCallBody
    type: Literal["function"] | None = None


class ContentPartBody(Struct):
    """A part of a message's content; only parts of type "text" are taken."""

    type: str
    text: str | None = None


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
    parameters: Raw = field(default_factory=lambda: _NULL)
    strict: bool | None = None


class ToolBody(Struct):
    """A tool that is offered."""

    type: Literal["function"]
    function: FunctionBody


class NamedFunctionBody(Struct):
    """The function that a tool choice names."""

    name: str


class ToolChoiceBody(Struct):
    """A tool choice that names a function."""

    type: Literal["function"]
    function: NamedFunctionBody


class JsonSchemaBody(Struct):
    """`json_schema` of a response format; `schema` is kept verbatim."""

    name: str
    description: str | None = None
    schema: Raw = field(default_factory=lambda: _NULL)
    strict: bool | None = None


class ResponseFormatBody(Struct):
    """The form that the answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaBody | None = None


class StreamOptionsBody(Struct):
    """Options of a stream."""

    include_usage: bool | None = None
    include_timings: bool | None = None


class GenerationRequest(Struct, kw_only=True):
    """What every request for an answer may hold."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptionsBody | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    logit_bias: dict[str, float] | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool | None = None
    n: int | None = None
    user: str | None = None


class ChatCompletionRequest(GenerationRequest, kw_only=True):
    """The fields of a chat completion request that have an effect here or in an engine."""

    messages: list[MessageBody]
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[ToolBody] | None = None
    tool_choice: str | ToolChoiceBody | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormatBody | None = None


class PromptTokensDetails(Struct):
    """Where the prompt's tokens came from."""

    cached_tokens: int


class UsageBody(Struct):
    """What a call is billed for; `estimated_cost` is in USD."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    estimated_cost: float


class AnswerCall(Struct):
    """A tool call of an answer."""

    id: str
    function: FunctionCallBody
    type: Literal["function"] = "function"


class AnswerMessage(Struct):
    """The message of an answer; `content` is null when there is nothing but calls."""

    content: str | None
    role: Literal["assistant"] = "assistant"
    refusal: None = None
    tool_calls: list[AnswerCall] | UnsetType = UNSET


class TopLogprobBody(Struct):
    """A token that could have been chosen; `bytes` are its exact bytes."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprobBody(Struct):
    """A token of the answer with its probability."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprobBody]


class LogprobsBody(Struct):
    """The probabilities of a choice's tokens; in a chunk only the new ones."""

    content: list[TokenLogprobBody]
    refusal: None = None


class ChoiceBody(Struct):
    """One of the answers of a completion."""

    index: int
    message: AnswerMessage
    finish_reason: str
    logprobs: LogprobsBody | None = None
    stop_reason: str | UnsetType = UNSET


class ChatCompletion(Struct):
    """A whole answer."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChoiceBody]
    usage: UsageBody
    object: Literal["chat.completion"] = "chat.completion"


class FunctionDelta(Struct, omit_defaults=True):
    """The next piece of a called function: its name at first, then its arguments."""

    arguments: str
    name: str | None = None


class CallDelta(Struct, omit_defaults=True):
    """The next piece of a tool call; id and type stand in its first piece only."""

    index: int
    function: FunctionDelta
    id: str | None = None
    type: Literal["function"] | None = None


class DeltaBody(Struct, omit_defaults=True):
    """What a chunk adds to a choice."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    tool_calls: list[CallDelta] | None = None


class ChunkChoice(Struct):
    """A choice's part of a chunk."""

    index: int
    delta: DeltaBody
    logprobs: LogprobsBody | None = None
    finish_reason: str | None = None
    stop_reason: str | UnsetType = UNSET


class TimingsBody(Struct):
    """Where the time of a call went, in milliseconds; the names are those of the `Server-Timing` header."""

    queue: float
    tokenize: float
    prefill: float
    decode: float
    total: float


class ChatCompletionChunk(Struct):
    """An event of a streamed answer."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: UsageBody | UnsetType | None = UNSET
    timings: TimingsBody | UnsetType = UNSET
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"


class LimitBody(Struct):
    """The range of a numeric field; `default` is null where absence means something else."""

    minimum: float
    maximum: float
    exclusive_minimum: bool
    integer: bool
    default: float | None


class PricingBody(Struct):
    """USD per 1,000,000 tokens."""

    prompt: float
    completion: float


class ModelBody(Struct):
    """A served model. `object` to `owned_by` are OpenAI's; the rest tells what a caller may send."""

    id: str
    created: int
    owned_by: str
    aliases: list[str]
    context_length: int
    default_max_tokens: int
    quantization: str
    pricing: PricingBody
    supported_parameters: list[str]
    limits: dict[str, LimitBody]
    engine: str
    system_fingerprint: str
    object: Literal["model"] = "model"


class ModelList(Struct):
    """All served models."""

    data: list[ModelBody]
    object: Literal["list"] = "list"


class ErrorBody(Struct):
    """What went wrong; `param` names the field, `code` the kind."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(Struct):
    """The body of every error."""

    error: ErrorBody
