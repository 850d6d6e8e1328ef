"""One round of `make bench-peers`: what a token and a call cost one contender, and how soon the first token comes."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.bench import load
from tests.bench.serving import CALLERS, PROMPT, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.peers.contenders import Contender, Target


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured in a round."""

    streams: int
    tokens: int  # per stream
    calls: int  # of one token
    singles: int  # calls of one token by one caller


@dataclass(frozen=True, slots=True)
class Round:
    """One round of one contender. CPU in microseconds by process, the engine's included; times in milliseconds."""

    cpu_per_token: Mapping[str, float]
    cpu_per_call: Mapping[str, float]
    ttft: float  # median of calls by one caller
    burst_ttft: float  # median of all streams, which begin at once
    tokens_per_second: float
    tokens_per_event: float


def measure(contender: Contender, size: Size) -> Round:
    """Streams at the pace, then calls of one token. WrongAnswerError unless every answer has all its tokens."""
    target = contender.paced
    before = target.cpu()
    answers = run(load.stream_many(target.port, _request(target, size.tokens), size.streams))
    tokens, after = size.streams * size.tokens, target.cpu()
    for answer in answers:
        if answer.completion_tokens != size.tokens:
            raise load.WrongAnswerError(
                f"expected {size.tokens} tokens, got {answer.completion_tokens} {answer.text!r}"
            )
    seconds = max(each.arrivals[-1] for each in answers) - min(each.arrivals[0] - each.ttft for each in answers)
    one = _request(contender.single, 1)
    calls_before = contender.single.cpu()
    run(load.stream_by_callers(contender.single.port, one, CALLERS, size.calls))
    calls_after = contender.single.cpu()
    singles = run(load.stream_in_turn(contender.single.port, one, size.singles))
    return Round(
        cpu_per_token=_used(before, after, tokens),
        cpu_per_call=_used(calls_before, calls_after, size.calls),
        ttft=1e3 * statistics.median(answer.ttft for answer in singles),
        burst_ttft=1e3 * statistics.median(answer.ttft for answer in answers),
        tokens_per_second=tokens / seconds,
        tokens_per_event=tokens / sum(len(answer.arrivals) for answer in answers),
    )


def _request(target: Target, tokens: int) -> dict[str, Any]:
    """The same for all, with a count of tokens at the end; the engines sample nothing."""
    usage = {"stream_options": {"include_usage": True}}
    return load.body(PROMPT, tokens) | usage | {"model": target.model, "temperature": 0}


def _used(before: Mapping[str, float], after: Mapping[str, float], count: int) -> dict[str, float]:
    return {name: 1e6 * (seconds - before.get(name, 0)) / count for name, seconds in after.items()}
