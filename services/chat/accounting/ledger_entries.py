"""From calls that have ended to the rows of the ledger; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.accounts.ledger.entry import LedgerEntry

if TYPE_CHECKING:
    from chasqui.v1.chat_pb2 import Usage
    from services.chat.accounting.call_facts import CallOrigin, ServedModel


def entry(
    origin: CallOrigin,
    model: ServedModel,
    outcome: str,
    seconds: float,
    usage: Usage | None = None,
    cost: int = 0,
    queue_seconds: float = 0.0,
) -> LedgerEntry:
    """The row of any call that was admitted, without `usage` one that has used nothing; the cost is in picodollars."""
    key, token = origin.caller.key, origin.caller.token
    prompt = cached = completion = 0
    if usage is not None:
        prompt, cached, completion = usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens
    return LedgerEntry(  # in the order of its fields: their names would take five times as long
        origin.ids.chat_id,
        origin.arrived,
        origin.caller.account,
        "" if key is None else key.owner,
        origin.user,
        model.name,
        origin.endpoint,
        outcome,
        prompt,
        cached,
        completion,
        model.price.version,
        cost,
        seconds,
        queue_seconds,
        "" if token is None else token.id,
    )
