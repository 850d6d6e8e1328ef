"""The usage record of a call: what it cost, how it ended, and where its time went."""

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
class UsageRecord:
    """Written once per call, when the engine has ended it, whatever the reason."""

    facts: CallFacts
    outcome: str  # a constant of services/telemetry/outcome.py
    error: str | None  # a sentence, when the engine failed
    finish_reasons: Sequence[str]  # of the choices that finished, ordered by index
    usage: Usage
    cost: int  # in picodollars: the usage's estimated_cost, exact
    timings: EngineTimings
    seconds: float  # from the request's arrival to now
    output: Sequence[str]  # the choices' texts if they are to be traced, else empty


def log_usage(record: UsageRecord) -> None:
    """Write the record as one log line."""
    facts, usage, timings = record.facts, record.usage, record.timings
    fields = {
        "request_id": facts.origin.ids.request_id,
        "trace_id": facts.origin.ids.trace_id,
        "chat_id": facts.origin.ids.chat_id,
        "model": facts.model.name,
        "service_tier": facts.tier,
        "outcome": record.outcome,
        "finish_reasons": record.finish_reasons,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_tokens,
        "estimated_cost": usage.estimated_cost,
        "tokenize_seconds": round(facts.tokenize_seconds, 6),
        "queue_seconds": round(timings.queue, 6),
        "prefill_seconds": round(timings.prefill, 6),
        "decode_seconds": round(timings.decode, 6),
        "seconds": round(record.seconds, 6),
        "error": record.error,
    }
    log.info("chat call ended", extra={"fields": fields})
