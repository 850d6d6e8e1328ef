"""Between keys and the messages of KeyService; pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from chasqui.v1 import key_service_pb2
from services.accounts.keys.key import Key
from services.accounts.keys.limits import LIMIT_NAMES, Limits, limit_of
from services.accounts.keys.secret import shown_prefix
from services.accounts.prices.money import usd_text
from services.chat.accounts.moments import moment_of, timestamp_of
from services.errors import InvalidValue, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

_STATUSES: Final = {
    "active": key_service_pb2.KEY_STATUS_ACTIVE,
    "expired": key_service_pb2.KEY_STATUS_EXPIRED,
    "revoked": key_service_pb2.KEY_STATUS_REVOKED,
}
_LIMITS: Final = "limits"
_FIELDS: Final = tuple(key_service_pb2.KeyRights.DESCRIPTOR.fields_by_name)
_PATHS: Final = (*_FIELDS, *(f"{_LIMITS}.{name}" for name in LIMIT_NAMES))


def key_message(key: Key, prefixes: Sequence[str]) -> key_service_pb2.Key:
    """The message of a key."""
    return key_service_pb2.Key(
        name=key.name,
        rights=key_service_pb2.KeyRights(
            owner=key.owner,
            expires_at=timestamp_of(key.expires_at),
            models=key.models,
            endpoints=key.endpoints,
            tiers=key.tiers,
            priority=key.priority,
            limits=_limits_message(key.limits),
        ),
        created_at=timestamp_of(key.created_at),
        revoked_at=timestamp_of(key.revoked_at),
        status=_STATUSES[key.status],
        prefixes=[shown_prefix(prefix) for prefix in prefixes],
    )


def _limits_message(limits: Limits) -> key_service_pb2.KeyLimits:
    return key_service_pb2.KeyLimits(
        calls_per_minute=limits.calls_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        concurrent_calls=limits.concurrent_calls,
        usd_per_day=_usd(limits.usd_per_day),
        usd_per_month=_usd(limits.usd_per_month),
    )


def _usd(amount: Decimal | None) -> str | None:
    return None if amount is None else usd_text(amount)


def new_key(request: key_service_pb2.CreateKeyRequest) -> Key:
    """The key to create; InvalidValue names the field that is no value."""
    fields = changes_of(request.rights, _FIELDS)
    limits = Limits(**{name: fields.pop(name) for name in LIMIT_NAMES})
    return Key(request.name, created_at=datetime.now(UTC), limits=limits, **fields)


def changes_of(rights: key_service_pb2.KeyRights, paths: Sequence[str]) -> dict[str, Any]:
    """The fields of a key, and of its limits, at these paths of `rights`; InvalidValue for a wrong path or value."""
    changes: dict[str, Any] = {}
    for path in paths:
        if path not in _PATHS:
            raise InvalidValue(
                f"update_mask has {quoted(path)}, but may have {', '.join(_PATHS)}.", param="update_mask"
            )
        if path == _LIMITS:
            changes |= {name: _limit(rights.limits, name) for name in LIMIT_NAMES}
        elif path.startswith(f"{_LIMITS}."):
            name = path.removeprefix(f"{_LIMITS}.")
            changes[name] = _limit(rights.limits, name)
        else:
            changes[path] = _right(rights, path)
    return changes


def _right(rights: key_service_pb2.KeyRights, name: str) -> Any:
    if name == "expires_at":
        return moment_of(rights.expires_at, "rights.expires_at") if rights.HasField("expires_at") else None
    if name == "priority":
        return rights.priority or "normal"
    value = getattr(rights, name)
    return value if name == "owner" else tuple(value)


def _limit(limits: key_service_pb2.KeyLimits, name: str) -> Any:
    if not limits.HasField(name):  # type: ignore[arg-type] # the stubs have its names one by one
        return None
    try:
        return limit_of(name, str(getattr(limits, name)))
    except ValueError as error:
        raise InvalidValue(f"{name} is wrong: {error}.", param=f"rights.limits.{name}") from None
