"""Rows of the ledger for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from services.accounts.ledger.entry import LedgerEntry

AT = datetime(2027, 1, 31, 12, 30, 15, 250_000, tzinfo=UTC)


def an_entry(call_id: str = "chatcmpl-1", **changes: Any) -> LedgerEntry:
    """A completed call of 14 tokens."""
    usual = LedgerEntry(
        call_id=call_id,
        at=AT,
        key="ana",
        owner="research",
        user="",
        model="demo",
        endpoint="chat/completions",
        outcome="completed",
        prompt_tokens=10,
        cached_tokens=4,
        completion_tokens=4,
        price="CHASQUI_PRICE=0.055",
        cost=770_000,
        seconds=0.5,
        queue_seconds=0.1,
    )
    return replace(usual, **changes)
