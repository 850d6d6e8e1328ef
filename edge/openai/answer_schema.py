"""The JSON of responses as typed structs: completions, chunks, tokens, models and errors."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType


class PromptTokensDetails(Struct):
    """Details of the prompt's tokens; `cached_tokens` were reused from an earlier prompt."""

    cached_tokens: int


class UsageBody(Struct):
    """Token counts; `estimated_cost` is in USD. The usage so far, in a stream, has the three counts alone."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | UnsetType = UNSET
    estimated_cost: float | UnsetType = UNSET


class AnswerFunction(Struct):
    """`function` of a tool call; `arguments` is JSON text."""

    name: str
    arguments: str


class AnswerCall(Struct):
    """A tool call."""

    id: str
    function: AnswerFunction
    type: Literal["function"] = "function"


class AnswerMessage(Struct):
    """The message of a choice; `content` is null if there are only tool calls."""

    content: str | None
    role: Literal["assistant"] = "assistant"
    refusal: None = None
    tool_calls: list[AnswerCall] | UnsetType = UNSET


class TopLogprobBody(Struct):
    """A token that could have been sampled; `bytes` are its exact bytes."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprobBody(Struct):
    """A sampled token with its log probability."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprobBody]


class LogprobsBody(Struct):
    """The log probabilities of a choice's tokens; in a chunk only the new ones."""

    content: list[TokenLogprobBody]
    refusal: None = None


class ChoiceBody(Struct):
    """A choice."""

    index: int
    message: AnswerMessage
    finish_reason: str
    logprobs: LogprobsBody | None = None
    stop_reason: str | UnsetType = UNSET


class ChatCompletion(Struct):
    """An unstreamed response."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    service_tier: str
    choices: list[ChoiceBody]
    usage: UsageBody
    object: Literal["chat.completion"] = "chat.completion"


class FunctionDelta(Struct, omit_defaults=True):
    """The next part of a call's function: its name at first, then its arguments."""

    arguments: str
    name: str | None = None


class CallDelta(Struct, omit_defaults=True):
    """The next part of a tool call; id and type are in its first delta only."""

    index: int
    function: FunctionDelta
    id: str | None = None
    type: Literal["function"] | None = None


class DeltaBody(Struct, omit_defaults=True):
    """What a chunk adds to a choice's message; `content` is null in the first chunk of a forced call."""

    role: Literal["assistant"] | None = None
    content: str | UnsetType | None = UNSET
    tool_calls: list[CallDelta] | None = None


class ChunkChoice(Struct):
    """A choice of a chunk."""

    index: int
    delta: DeltaBody
    logprobs: LogprobsBody | None = None
    finish_reason: str | None = None
    stop_reason: str | UnsetType = UNSET


class TimingsBody(Struct):
    """The time of each phase of a call, in milliseconds; the names are those of the `Server-Timing` header."""

    queue: float
    tokenize: float
    prefill: float
    decode: float
    total: float


class SharedPromptBody(Struct):
    """The beginning that a prompt shares with the most similar of its caller's last prompts.

    `previous_tokens` are those of that earlier prompt in all; `parted_at` is the text behind the shared tokens, empty
    if the prompt continues the earlier one. A `cached_tokens` below `tokens` means that the cache had evicted the rest.
    """

    tokens: int
    previous_tokens: int
    parted_at: str


class ChatCompletionChunk(Struct):
    """A chunk of a stream."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    service_tier: str
    choices: list[ChunkChoice]
    usage: UsageBody | UnsetType | None = UNSET
    timings: TimingsBody | UnsetType = UNSET
    shared_prompt: SharedPromptBody | UnsetType = UNSET
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"


class CompletionLogprobs(Struct):
    """The log probabilities of a choice's tokens, in columns; in a chunk only the new ones.

    `text_offset` counts characters from the beginning of the choice; `top_logprobs` is null unless they were requested.
    The first token of an echoed prompt has null in both.
    """

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class CompletionChoice(Struct):
    """A choice, or its next text in a chunk; `finish_reason` is null until the end."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: str | None = None
    stop_reason: str | UnsetType = UNSET


class Completion(Struct):
    """An unstreamed response, or a chunk of a stream."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    service_tier: str
    choices: list[CompletionChoice]
    usage: UsageBody | UnsetType | None = UNSET
    timings: TimingsBody | UnsetType = UNSET
    shared_prompt: SharedPromptBody | UnsetType = UNSET
    object: Literal["text_completion"] = "text_completion"


class TokenizeAnswer(Struct):
    """The tokens of a text or chat, and their texts if they were requested."""

    tokens: list[int]
    count: int
    max_model_len: int
    token_strs: list[str] | None = None


class DetokenizeAnswer(Struct):
    """The text of tokens."""

    prompt: str


class LimitBody(Struct):
    """The range of a numeric field; `default` is null if there is no fixed one."""

    minimum: float
    maximum: float
    exclusive_minimum: bool
    integer: bool
    default: float | None


class PricingBody(Struct):
    """USD per 1,000,000 tokens."""

    prompt: float
    cached_prompt: float
    completion: float


class ModelBody(Struct):
    """A served model. `id`, `object`, `created` and `owned_by` are OpenAI's fields.

    `tool_syntax` is how its tool calls are parsed, by vLLM's names: `llama3_json`, `hermes`, or null without tools.
    `chat` is false for a model without a chat template, which completes prompts only. `pricing` is that of the service
    tier `default`, `tier_pricing` has all tiers by their names.
    """

    id: str
    created: int
    owned_by: str
    aliases: list[str]
    context_length: int
    default_max_tokens: int
    quantization: str
    pricing: PricingBody
    tier_pricing: dict[str, PricingBody]
    supported_parameters: list[str]
    tool_syntax: str | None
    chat: bool
    limits: dict[str, LimitBody]
    engine: str
    system_fingerprint: str
    object: Literal["model"] = "model"


class ModelList(Struct):
    """All served models."""

    data: list[ModelBody]
    object: Literal["list"] = "list"


class ErrorBody(Struct):
    """An error; `param` is the path of the field that caused it, `code` the kind of error."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(Struct):
    """The body of every error."""

    error: ErrorBody
