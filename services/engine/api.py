"""The engine interface: what the chat server calls on a back end, and the events that a back end pushes.

An engine takes a prompt of token ids and pushes events into a sink, always in the event loop's thread. It pushes: an
async generator would wake one task per token and stream, which costs more than all other work on that token. All events
of an engine step are pushed within one callback of the loop, so that a consumer woken by the first finds all of them.

An engine handles token ids, text and numbers; gRPC, HTTP and chat messages stay outside.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from services.engine.model.tokenizer import Tokenizer

log = logging.getLogger(__name__)


class EndReason(Enum):
    """Why the engine ended a choice."""

    STOP = "stop"  # a token that ends the model's turn, or one of the generation's stop tokens
    LENGTH = "length"  # max_tokens, or the context is full
    CANCELLED = "cancelled"  # cancel() was called, or the generation failed


class EngineState(Enum):
    """The state in an engine's heartbeat."""

    IDLE = "idle"  # nothing to do
    WORKING = "working"  # there is work; the heartbeat's progress shows whether the engine advances
    FAILED = "failed"  # it can never work again; only a new process helps


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters, already validated. The defaults are neutral."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)

    @property
    def is_greedy(self) -> bool:
        """Whether the most probable token is always taken, so that all choices are identical."""
        return self.temperature == 0 or self.top_k == 1 or self.top_p == 0


NORMAL_PRIORITY: Final = 0.5


@dataclass(frozen=True, slots=True)
class Generation:
    """One call of the engine: `n` independent continuations of `prompt` (token ids, at least one)."""

    prompt: Sequence[int]
    # Per choice, and prompt + max_tokens fits the context. At least 1; 0 with prompt_logprobs alone, for nothing else.
    max_tokens: int
    sampling: Sampling = Sampling()
    n: int = 1
    ignore_eos: bool = False
    grammar: str | None = None  # llguidance's Lark format, compiled once beforehand; see End.grammar_lost
    stop_token_ids: frozenset[int] = frozenset()
    trace_headers: Mapping[str, str] = field(default_factory=dict)  # W3C: traceparent, tracestate
    min_tokens: int = 0  # per choice; no stop token ends a choice before that many
    top_logprobs: int | None = None  # candidates per token; None: no log probabilities
    # Also of the prompt's tokens, and of one that ends a choice, with no data; with top_logprobs, where the engine can.
    prompt_logprobs: bool = False
    priority: float = NORMAL_PRIORITY  # 0 to 1; an engine that has priorities serves higher ones first
    reports_ids: bool = False  # token deltas have the ids of their tokens, also where they have text
    # Of an interrupted generation, the tokens that its choice has already: the engine pushes those that follow. Prompt,
    # max_tokens and min_tokens are those of the whole.
    generated: Sequence[int] = ()

    @property
    def can_resume(self) -> bool:
        """Whether it may be interrupted and resumed, with any answer as likely as without the interruption.

        Not with several choices, which would go on from different tokens; nor with a grammar, which an engine enforces
        from its beginning; nor with a seed that matters, because the random numbers begin anew.
        """
        seeded = self.sampling.seed is not None and not self.sampling.is_greedy
        return self.n == 1 and self.grammar is None and not seeded and not self.prompt_logprobs

    @property
    def context(self) -> Sequence[int]:
        """The tokens that the engine goes on behind: the prompt, and what is generated already."""
        return [*self.prompt, *self.generated] if self.generated else self.prompt

    @property
    def tokens_left(self) -> int:
        """Tokens of each choice that may still be generated."""
        return self.max_tokens - len(self.generated)

    @property
    def min_tokens_left(self) -> int:
        """Tokens of each choice that must still be generated before one that ends it."""
        return max(self.min_tokens - len(self.generated), 0)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token and the model's log probability of it, before sampling parameters are applied.

    Of generated tokens, llama.cpp reports those of a character that spans several as one, with the probability of the
    last of them.
    """

    data: bytes  # the token's bytes
    logprob: float | None  # natural logarithm; None for the first token of a prompt, which follows nothing
    top: Sequence[tuple[bytes, float]] = ()  # the most probable tokens here, best first


@dataclass(slots=True)
class TokenDelta:
    """The next tokens of a choice: as text, or as ids that the tokenizer's decoder turns into text.

    With text, ids are there for generations that ask for them; fewer than `tokens` where the engine does not know all.
    With log probabilities asked for, `logprobs` holds all bytes of the delta, and text and ids are not read. Not
    frozen, because freezing makes construction three times as slow and this is made per token.
    """

    choice: int
    tokens: int  # how many tokens the delta stands for; tokens that end a choice are never counted
    text: str = ""
    ids: Sequence[int] = ()
    logprobs: Sequence[TokenLogprob] = ()


@dataclass(frozen=True, slots=True)
class ChoiceEnd:
    """A choice ended; nothing follows for it."""

    choice: int
    reason: EndReason


@dataclass(frozen=True, slots=True)
class EngineTimings:
    """Seconds that the engine spent on a generation."""

    queue: float = 0.0
    prefill: float = 0.0
    decode: float = 0.0


@dataclass(frozen=True, slots=True)
class End:
    """The last event of a generation; every generation gets exactly one."""

    prompt_tokens: int
    cached_tokens: int  # tokens of the prompt whose KV cache was reused
    completion_tokens: int  # the sum of the token deltas' tokens
    timings: EngineTimings
    error: str | None = None  # one sentence, if the engine failed
    grammar_lost: bool = False  # the error is that the engine stopped enforcing the grammar


class Sink(Protocol):
    """Receives a generation's events. Its methods must not block or raise; engines call them in the loop's thread.

    Order: the prompt's log probabilities, token deltas, one `choice_end` per choice, then exactly one `end`.
    """

    def prompt_logprobs(self, entries: Sequence[TokenLogprob]) -> None:
        """The next tokens of the prompt, if the generation asks for their log probabilities; once for all choices."""

    def token_delta(self, delta: TokenDelta) -> None:
        """New tokens of a choice."""

    def choice_end(self, end: ChoiceEnd) -> None:
        """A choice ended."""

    def end(self, end: End) -> None:
        """The generation ended."""


def deliver_end(sink: Sink, end: End) -> None:
    """Give a sink its last event. One that raises, against its contract, must not keep the slots of its generation."""
    try:
        sink.end(end)
    except Exception:
        log.exception("the sink of a generation has failed at its end")


class Handle(Protocol):
    """A submitted generation."""

    @property
    def released(self) -> asyncio.Future[None]:
        """Done when the generation no longer occupies the engine, which may be after its `end`."""

    def cancel(self, choice: int | None = None) -> None:
        """End one choice, or the whole generation, early; idempotent, and without effect on what has ended.

        No token delta follows for what was cancelled, but `choice_end` with CANCELLED, and `end` after the last choice.
        """


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine supports; the chat server rejects every other parameter by name."""

    context_length: int  # tokens of prompt and completion together
    vocabulary_size: int
    parameters: frozenset[str]  # names of the optional fields of Sampling and Generation that have an effect
    parallel: int  # number of slots; a generation's n is at most this
    guided: bool  # whether a generation's grammar is enforced
    scores_prompts: bool = False  # whether it reports the log probabilities of a prompt's tokens
    remedies: Mapping[str, str] = field(default_factory=dict)  # unsupported parameter -> a sentence on what supports it
    # Supported parameters that are not supported together; response_format stands for any grammar.
    exclusions: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model an engine serves."""

    name: str
    quantization: str  # "Q8_0", "bfloat16", ...
    fingerprint: str  # engine, version and model hash
    chat_template: str  # Jinja source; empty for a model that cannot chat
    bos_token: str
    eos_token: str
    tool_template: str = ""  # the template for calls with tools, where the model has one of its own


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The engine's liveness. Every engine step increments `progress`, prefill steps included."""

    state: EngineState
    progress: int
    running: int  # generations that hold slots
    queued: int  # generations that wait for slots
    kv_cache_use: float | None = None  # used share of the KV cache, 0 to 1; None if the engine does not report it


class Engine(Protocol):
    """A back end. Built by `services.engine.factory`; `submit` needs `start` to have returned."""

    capabilities: Capabilities
    model: ModelInfo
    tokenizer: Tokenizer

    async def start(self) -> None:
        """Load the model; EngineLoadError if that fails."""

    def submit(self, generation: Generation, sink: Sink) -> Handle:
        """Queue a generation; its events are pushed later, never from within this call."""

    def heartbeat(self) -> Heartbeat:
        """The engine's state and counters; generates nothing."""

    async def close(self) -> None:
        """Cancel all generations, push their ends, and free the model."""
