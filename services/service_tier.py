"""The service tiers: which calls run first, and at which price."""

from __future__ import annotations

from enum import StrEnum


class ServiceTier(StrEnum):
    """The tier that serves a call, in the order in which calls run; the values are OpenAI's."""

    PRIORITY = "priority"
    DEFAULT = "default"
    FLEX = "flex"  # runs when nothing else waits
