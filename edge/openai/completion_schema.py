"""The JSON of OpenAI's text completions, and of vLLM's tokenize and detokenize, as typed structs."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from edge.openai.schema import GenerationRequest, TimingsBody, UsageBody


class CompletionRequest(GenerationRequest, kw_only=True):
    """A text to continue: one prompt or several, each as text or as ids of tokens."""

    prompt: str | list[str | int | list[int]]
    echo: bool | None = None
    logprobs: int | None = None


class CompletionLogprobs(Struct):
    """The probabilities of a choice's tokens, in columns; in a chunk only the new ones.

    `text_offset` counts characters from the beginning of the choice; `top_logprobs` is null when none were asked for.
    """

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]


class CompletionChoice(Struct):
    """One of the answers, or its next text in a chunk; `finish_reason` is null until the end."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: str | None = None
    stop_reason: str | UnsetType = UNSET


class Completion(Struct):
    """A whole answer, or an event of a streamed one."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: UsageBody | UnsetType | None = UNSET
    timings: TimingsBody | UnsetType = UNSET
    object: Literal["text_completion"] = "text_completion"


class TokenizeRequest(Struct):
    """A text whose tokens are wanted; `add_special_tokens` puts the begin-of-text token before them, default true."""

    model: str
    prompt: str
    add_special_tokens: bool | None = None


class TokenizeAnswer(Struct):
    """The tokens of a text."""

    tokens: list[int]
    count: int
    max_model_len: int


class DetokenizeRequest(Struct):
    """Tokens whose text is wanted."""

    model: str
    tokens: list[int]


class DetokenizeAnswer(Struct):
    """The text of tokens."""

    prompt: str
