"""A scoped token: a part of a key's rights, which its owner can hand to other callers."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from services.accounts.keys.key import INFERENCE
from services.accounts.prices.price import usd

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

# What the reference service puts before its tokens; it may be left out.
MARK: Final = "jwt:"
MAX_TOKEN_BYTES: Final = 4096
# As at the reference service.
MOST_DAYS: Final = 365
LONGEST: Final = timedelta(days=MOST_DAYS)
# What a token may be used for: generation, token counts, models, its own usage and the responses that it has stored.
# What its key has stored, such as files and batches, is the key's alone.
ENDPOINTS: Final = frozenset(
    {
        *INFERENCE,
        *("responses/{id}", "responses/{id}/input_items", "responses/{id}/cancel"),
        *("models", "models/{id}", "usage", ""),
    }
)
_ID: Final = re.compile(r"[A-Za-z0-9._@:-]{1,64}")
# `iss` and `sub` have no effect; every other claim is refused, since it could be meant as a restriction.
_CLAIMS: Final = frozenset({"exp", "nbf", "iat", "jti", "iss", "sub", "models", "spending_limit"})


class ScopeError(ValueError):
    """A token cannot have such a scope; the message is a sentence, `field` the field that is wrong."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class ScopedToken:
    """What a key lets the holder of a token do.

    `id` tells the tokens of a key apart: those with the same id have one spending in common. `models` are those that
    it may use, empty for all that its key may. `spending_limit` is in USD, for all time, None without one.
    """

    id: str
    expires_at: datetime
    models: tuple[str, ...] = ()
    spending_limit: Decimal | None = None

    def __post_init__(self) -> None:
        """ScopeError if there is no such token."""
        if not _ID.fullmatch(self.id):
            raise ScopeError("The id must have 1 to 64 letters, digits, '.', '_', '@', ':' and '-'.", "id")
        if self.expires_at > datetime.now(UTC) + LONGEST:
            raise ScopeError(f"The token must expire within {MOST_DAYS} days.", "expires_at")
        if not all(self.models):
            raise ScopeError("A model's name is empty.", "models")

    def of_claims(self) -> dict[str, Any]:
        """The claims of the JSON Web Token."""
        claims: dict[str, Any] = {"exp": int(self.expires_at.timestamp()), "jti": self.id}
        if self.models:
            claims["models"] = list(self.models)
        if self.spending_limit is not None:
            claims["spending_limit"] = float(self.spending_limit)  # its six decimals survive that
        return claims

    def name(self, key: str) -> str:
        """What distinguishes it from all tokens and keys: a key's name has no colon."""
        return f"{key}:{self.id}"


def token_of(claims: Mapping[str, Any], default_id: str) -> ScopedToken:
    """The token that has these claims, and `default_id` if they have none; ScopeError if there is no such token."""
    unknown = next((name for name in claims if name not in _CLAIMS), None)
    if unknown is not None:
        raise ScopeError(f"The claim {unknown[:80]!r} is none of {', '.join(sorted(_CLAIMS))}.", "claims")
    models = claims.get("models")
    if models is not None and (not isinstance(models, list) or not models or not _are_texts(models)):
        raise ScopeError("The claim models must be a list of names; without it, all of the key are meant.", "models")
    given_id = claims.get("jti")
    return ScopedToken(
        default_id if given_id is None else given_id,
        _moment(claims["exp"]),
        tuple(models or ()),
        None if claims.get("spending_limit") is None else spending_limit(claims["spending_limit"]),
    )


def spending_limit(value: object) -> Decimal:
    """The limit that a number, or its text, stands for; ScopeError if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ScopeError("The spending_limit must be a number.", "spending_limit")
    try:
        return usd(str(value))
    except ValueError as error:
        raise ScopeError(f"The spending_limit {error}.", "spending_limit") from None


def hashed_id(signed: str) -> str:
    """The id of a token that has none of its own: a hash of what its signature is for.

    Not of the signature, which base64 can write in several ways: each would be another token, with another spending.
    """
    return hashlib.sha256(signed.encode()).hexdigest()[:32]


def _moment(seconds: object) -> datetime:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ScopeError("The claim exp must be a number of seconds.", "expires_at")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OSError, OverflowError, ValueError):
        raise ScopeError("The claim exp is no time.", "expires_at") from None


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
