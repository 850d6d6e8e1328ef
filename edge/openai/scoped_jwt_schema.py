"""The JSON of `/v1/scoped-jwt`, in the reference service's shape, and from and to the contract; pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import Struct

from chasqui.v1 import token_service_pb2
from edge.api.decode import decode_body
from edge.api.fields import Known, honoured
from services.errors import InvalidValue, quoted


class ScopedJwtRequest(Struct):
    """A token to create."""

    api_key_name: str | None = None
    models: list[str] | None = None
    expires_delta: int | None = None
    expires_at: int | None = None
    spending_limit: float | None = None


class ScopedJwt(Struct):
    """A new token."""

    token: str


class ScopedJwtBody(Struct):
    """What a token is for; `expires_at` is in Unix seconds, `spending_limit` and the exact `spent` in USD."""

    id: str
    expires_at: int
    models: list[str] | None
    spending_limit: float | None
    spent: str


FIELDS: Final[dict[type[Struct], dict[str, Known]]] = {
    ScopedJwtRequest: {
        "api_key_name": honoured("", "the key that signs is the one that asks: nothing else may be named"),
        "models": honoured("all of the key", "the only models that the token may be used for"),
        "expires_delta": honoured("365 days", "seconds until the token ends"),
        "expires_at": honoured("", "the same as Unix seconds"),
        "spending_limit": honoured("none", "most USD that all calls of the token may cost"),
    }
}
# By the names of the contract's fields.
NAMES: Final = {
    "scope.models": "models",
    "scope.expires_at": "expires_at",
    "scope.spending_limit_usd": "spending_limit",
    "token": "jwtoken",
}
# The name of the first key at the reference service, which its examples have.
_ANY_KEY: Final = "auto"
_HIGHEST: Final = 253_402_300_799  # the end of the year 9999


def to_create_request(data: bytes, now: float) -> tuple[token_service_pb2.CreateTokenRequest, str | None]:
    """The request in a body, and the name of the key that must sign it, None for any; InvalidValue names a field.

    `now` is in Unix seconds. A field that is not known could be meant as a restriction, and is refused.
    """
    decoded = decode_body(ScopedJwtRequest, data, FIELDS)
    if decoded.ignored:
        raise InvalidValue(f"The field {quoted(decoded.ignored[0])} is not known.", param=decoded.ignored[0][:80])
    body = decoded.body
    if body.models == []:
        raise InvalidValue(
            "models is empty, but must have a name; without it, all of the key are meant.", param="models"
        )
    scope = token_service_pb2.TokenScope(models=body.models, expires_at=_end(body, int(now)))
    if body.spending_limit is not None:
        scope.spending_limit_usd = f"{Decimal(str(body.spending_limit)):f}"
    name = None if body.api_key_name == _ANY_KEY else body.api_key_name
    return token_service_pb2.CreateTokenRequest(scope=scope), name


def scoped_jwt_body(found: token_service_pb2.GetTokenResponse) -> ScopedJwtBody:
    """The description of a token."""
    scope = found.scope
    limit = float(scope.spending_limit_usd) if scope.HasField("spending_limit_usd") else None
    return ScopedJwtBody(scope.id, scope.expires_at.seconds, list(scope.models) or None, limit, found.spent_usd)


def _end(body: ScopedJwtRequest, now: int) -> Timestamp | None:
    if body.expires_delta is not None and body.expires_at is not None:
        raise InvalidValue("expires_at and expires_delta cannot both be given.", param="expires_at")
    if body.expires_delta is not None:
        if not 1 <= body.expires_delta <= _HIGHEST // 2:
            raise InvalidValue("expires_delta must be at least 1.", param="expires_delta")
        return Timestamp(seconds=now + body.expires_delta)
    if body.expires_at is None:
        return None
    if not 0 <= body.expires_at <= _HIGHEST:
        raise InvalidValue("expires_at must be Unix seconds.", param="expires_at")
    return Timestamp(seconds=body.expires_at)
