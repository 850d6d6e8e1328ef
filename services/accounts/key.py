"""An API key: who owns it, what it may call, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from services.accounts.limits import NO_LIMITS, Limits

# The names of endpoints: REST paths without their prefix. Over gRPC, ChatService is the first or, for a request with a
# prompt, the second; ModelService.CountTokens and Detokenize are the last two. Everything else needs a valid key only.
ENDPOINTS: Final = ("chat/completions", "completions", "responses", "messages", "tokenize", "detokenize")


# Of keys that wait, the next is the one that has the fewest sequences running, divided by its priority's weight.
PRIORITIES: Final = {"low": 1, "normal": 4, "high": 16}


class AccountsError(Exception):
    """What was asked of the accounts cannot be done; the message is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret.

    `models`, `endpoints` and `tiers` (of services/service_tier.py) are those that it may use, empty for all; `priority`
    is one of `PRIORITIES`.
    """

    name: str
    owner: str
    created_at: datetime
    models: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    limits: Limits = NO_LIMITS
    priority: str = "normal"
    tiers: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if is_past(self.expires_at) else "active"


def is_past(moment: datetime | None) -> bool:
    """Whether a moment has passed; None never does."""
    return moment is not None and moment <= datetime.now(UTC)
