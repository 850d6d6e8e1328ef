"""Who makes a call, and by which endpoint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.accounts.keys import scoped_token
from services.accounts.keys.key import ENDPOINTS, PRIORITIES
from services.errors import PermissionDenied, quoted

if TYPE_CHECKING:
    from services.accounts.keys.key import Key
    from services.accounts.keys.scoped_token import ScopedToken
    from services.service_tier import ServiceTier


@dataclass(frozen=True, slots=True)
class Caller:
    """`account` names whom a call is counted for: a key, or an address where no keys are required.

    `key` is the stored key, whose name the account is; None for one of `CHASQUI_API_KEYS` and without keys. With a
    `token` of it the caller may do what both allow. `endpoint` is the REST path without its prefix, empty for a gRPC
    caller's method that has none.
    """

    account: str  # a key's name, `hash:` and the beginning of the hash of a key, or `address:`
    key: Key | None = None
    endpoint: str = ""
    call_id: str = ""  # 32 hexadecimal digits, if the call's id is given: a repetition replaces the earlier call's row
    token: ScopedToken | None = None

    @property
    def identity(self) -> str:
        """Whose prompts and stored objects they are: the account's, or apart from them those of one of its tokens."""
        if self.token is None:
            return self.account
        return f"token:{hashlib.sha256(self.token.name(self.account).encode()).hexdigest()[:32]}"

    @property
    def weight(self) -> int:
        """The weight in the queue."""
        return PRIORITIES["normal" if self.key is None else self.key.priority]

    def check_endpoint(self, endpoint: str) -> None:
        """PermissionDenied if the key, or the token, may not use the endpoint."""
        if self.token is not None and endpoint not in scoped_token.ENDPOINTS:
            raise PermissionDenied(f"A scoped token may not use the endpoint {quoted(endpoint)}.")
        if self.key is None or not self.key.endpoints or endpoint not in ENDPOINTS:
            return
        if endpoint not in self.key.endpoints:
            raise PermissionDenied(f"This API key may not use the endpoint {endpoint}.")

    def check_model(self, requested: str, served: str) -> None:
        """PermissionDenied if the key, or the token, may use neither the requested name nor the model's own."""
        for who, models in (
            ("API key", () if self.key is None else self.key.models),
            ("token", () if self.token is None else self.token.models),
        ):
            if models and requested not in models and served not in models:
                raise PermissionDenied(f"This {who} may not use the model {quoted(requested)}.", param="model")

    def check_tier(self, tier: ServiceTier) -> None:
        """PermissionDenied if the key may not use the service tier."""
        if self.key is not None and self.key.tiers and tier not in self.key.tiers:
            raise PermissionDenied(f"This API key may not use the service_tier {tier}.", param="service_tier")
