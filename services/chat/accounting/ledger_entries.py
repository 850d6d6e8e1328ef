"""From calls that have ended to the rows of the ledger; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.accounts.ledger_entry import LedgerEntry

if TYPE_CHECKING:
    from decimal import Decimal

    from chasqui.v1.chat_pb2 import Usage
    from services.chat.accounting.call_facts import CallOrigin, ServedModel
    from services.chat.accounting.usage_record import UsageRecord


def entry_of(record: UsageRecord) -> LedgerEntry:
    """The row of a call that was queued."""
    facts = record.facts
    return entry(
        facts.origin,
        facts.model,
        record.outcome,
        record.usage,
        seconds=record.seconds,
        queue_seconds=record.timings.queue,
    )


def cost_of(record: UsageRecord) -> Decimal:
    """What a call costs in USD, exact."""
    usage = record.usage
    return record.facts.model.price.cost(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)


def entry(
    origin: CallOrigin, model: ServedModel, outcome: str, usage: Usage, *, seconds: float, queue_seconds: float
) -> LedgerEntry:
    """The row of any call that was admitted; the cost follows from the usage."""
    key = origin.caller.key
    counts = usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens
    return LedgerEntry(
        call_id=origin.ids.chat_id,
        at=origin.arrived,
        key=origin.caller.account,
        owner="" if key is None else key.owner,
        user=origin.user,
        model=model.name,
        endpoint=origin.endpoint,
        outcome=outcome,
        prompt_tokens=counts[0],
        cached_tokens=counts[1],
        completion_tokens=counts[2],
        price=model.price.version,
        cost=model.price.cost(*counts),
        seconds=seconds,
        queue_seconds=queue_seconds,
    )
