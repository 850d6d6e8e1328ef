"""What is known of a call once the engine has let go of it, and the log line that tells it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chasqui.v1.chat_pb2 import Usage
    from services.chat.accounting.call_facts import CallFacts
    from services.engine.api import EngineTimings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settlement:
    """A call's end, however it came."""

    facts: CallFacts
    chat_id: str
    outcome: str  # a word of services/telemetry/outcome.py
    error: str | None  # a sentence, when the engine failed
    finish_reasons: Sequence[str]  # of the choices that ended by themselves, in their order
    usage: Usage
    timings: EngineTimings
    seconds: float  # from the request's arrival to now
    output: Sequence[str]  # the choices' texts if they are to be traced, else empty


def log_settlement(settlement: Settlement) -> None:
    """The call's bill and times, as one line."""
    facts, usage, timings = settlement.facts, settlement.usage, settlement.timings
    fields = {
        "request_id": facts.request_id,
        "trace_id": facts.trace_id,
        "chat_id": settlement.chat_id,
        "model": facts.model,
        "outcome": settlement.outcome,
        "finish_reasons": settlement.finish_reasons,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_tokens,
        "estimated_cost": usage.estimated_cost,
        "tokenize_seconds": round(facts.tokenize_seconds, 6),
        "queue_seconds": round(timings.queue, 6),
        "prefill_seconds": round(timings.prefill, 6),
        "decode_seconds": round(timings.decode, 6),
        "seconds": round(settlement.seconds, 6),
        "error": settlement.error,
    }
    log.info("chat call settled", extra={"fields": fields})
