"""The service tier of a request, and the contract's word for it; pure."""

from __future__ import annotations

from typing import Final

from chasqui.v1 import chat_pb2
from services.errors import InvalidValue
from services.service_tier import ServiceTier

_TIERS: Final[dict[int, ServiceTier]] = {
    chat_pb2.SERVICE_TIER_UNSPECIFIED: ServiceTier.DEFAULT,
    chat_pb2.SERVICE_TIER_DEFAULT: ServiceTier.DEFAULT,
    chat_pb2.SERVICE_TIER_PRIORITY: ServiceTier.PRIORITY,
    chat_pb2.SERVICE_TIER_FLEX: ServiceTier.FLEX,
}


def tier_of(value: int) -> ServiceTier:
    """The tier that a request asks for; InvalidValue for a number that is none, which proto3 lets pass."""
    tier = _TIERS.get(value)
    if tier is None:
        raise InvalidValue(f"service_tier is {value}, which is no tier.", param="service_tier")
    return tier
