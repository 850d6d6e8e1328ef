"""From a chat request to the engine's generation; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.chat.request.tier import tier_of
from services.engine.api import NORMAL_PRIORITY, Generation, Sampling
from services.service_tier import ServiceTier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chasqui.v1.chat_pb2 import SamplingOptions
    from chasqui.v1.chat_service_pb2 import ChatRequest
    from services.chat.request.input_processor import Input

_NEUTRAL: Final = Sampling()
_PRIORITIES: Final = {ServiceTier.PRIORITY: 1.0, ServiceTier.DEFAULT: NORMAL_PRIORITY, ServiceTier.FLEX: 0.0}


def generation_of(
    request: ChatRequest, processed: Input, max_tokens: int, n: int, trace_headers: Mapping[str, str]
) -> Generation:
    """The engine's work for a validated request: `n` choices of at most `max_tokens` each."""
    return Generation(
        prompt=processed.prompt,
        max_tokens=max_tokens,
        sampling=sampling_of(request.sampling),
        n=n,
        ignore_eos=request.ignore_eos,
        grammar=None if processed.grammar is None else processed.grammar.text,
        stop_token_ids=frozenset(request.stop_token_ids),
        trace_headers=trace_headers,
        min_tokens=request.min_tokens,
        top_logprobs=request.top_logprobs if request.logprobs else None,
        prompt_logprobs=request.prompt.echo and request.logprobs,
        priority=_PRIORITIES[tier_of(request.service_tier)],
    )


def sampling_of(options: SamplingOptions) -> Sampling:
    """The engine's sampling; `options` are validated, and absent ones take the neutral defaults."""
    if not options.ByteSize():
        return _NEUTRAL
    given = {field.name: value for field, value in options.ListFields() if field.name != "logit_bias"}
    # -1 means off, as 0 does.
    if given.get("top_k") == -1:
        given["top_k"] = 0
    return Sampling(**given, logit_bias=dict(options.logit_bias))
