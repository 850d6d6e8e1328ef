"""An API key: who owns it, what it may call, and until when."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from services.accounts.keys.limits import NO_LIMITS, Limits
from services.service_tier import ServiceTier

if TYPE_CHECKING:
    from collections.abc import Iterable

# The names of endpoints: REST paths without their prefix. Over gRPC, ChatService is the first or, for a request with a
# prompt, the second; ModelService.CountTokens and Detokenize are the last two. Everything else needs a valid key only.
INFERENCE: Final = ("chat/completions", "completions", "responses", "messages", "tokenize", "detokenize")
# A key may sign scoped tokens, here or by itself, if it may use this endpoint.
SIGNING: Final = "scoped-jwt"
ENDPOINTS: Final = (*INFERENCE, SIGNING)


_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_LONGEST_OWNER: Final = 128

# Of keys that wait, the next is the one that has the fewest sequences running, divided by its priority's weight.
PRIORITIES: Final = {"low": 1, "normal": 4, "high": 16}


class AccountsError(Exception):
    """What was asked of the accounts cannot be done; the message is one sentence for the operator."""


class NoSuchKey(AccountsError):
    """No key has the name."""


class KeyExists(AccountsError):
    """A key has the name already."""


class KeyIsRevoked(AccountsError):
    """The key is revoked, and nothing about it changes any more."""


class WrongKey(AccountsError):
    """There can be no key like this; `field` is the field of `Key` that is wrong."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


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


def check_key(key: Key) -> None:
    """WrongKey if there can be no such key."""
    if not _NAME.fullmatch(key.name):
        raise WrongKey(
            f"{key.name[:80]!r} is no name for a key: up to 64 letters, digits, '.', '_', '@' and '-' are.", "name"
        )
    if len(key.owner) > _LONGEST_OWNER or not key.owner.isprintable():
        raise WrongKey(f"The owner must be of at most {_LONGEST_OWNER} printable characters.", "owner")
    if not all(key.models):
        raise WrongKey("The name of a model is empty.", "models")
    known: tuple[tuple[str, Iterable[str], Iterable[str]], ...] = (
        ("endpoints", key.endpoints, ENDPOINTS),
        ("tiers", key.tiers, tuple(ServiceTier)),
        ("priority", [key.priority], PRIORITIES),
    )
    for field, given, allowed in known:
        unknown = next((name for name in given if name not in allowed), None)
        if unknown is not None:
            raise WrongKey(f"{unknown[:80]!r} is none of {', '.join(allowed)}.", field)


def is_past(moment: datetime | None) -> bool:
    """Whether a moment has passed; None never does."""
    return moment is not None and moment <= datetime.now(UTC)
