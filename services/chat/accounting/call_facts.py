"""What is known of a call when it is accepted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Times are of the monotonic clock, in seconds."""

    request_id: str
    trace_id: str
    operation: str  # what is done, in OpenTelemetry's words
    request_model: str  # the name by which the caller asked for the model
    model: str
    system_fingerprint: str
    stops: Sequence[str]
    tool_names: frozenset[str]  # of the tools that the model may call
    parallel_tool_calls: bool
    call_is_named: bool  # the caller named the function that must be called
    n: int
    logprobs: bool  # whether the answer tells its tokens' probabilities
    id_prefix: str
    echo: str  # what every choice begins with; no part of the bill
    price: float  # USD per million tokens
    received: float
    tokenize_seconds: float
    asked: Mapping[str, Any]  # what the call's span says of the request; empty if there will be none
    traces_output: bool  # whether what the model wrote is kept for that span
    grammar_param: str | None  # the field to blame if the answer's grammar cannot be enforced
