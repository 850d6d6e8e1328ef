"""The JSON of `GET /v1/usage`, which is no endpoint of OpenAI's."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType


class UsageSum(Struct, kw_only=True):
    """A sum over calls, with the groups that were asked for; `cost_usd` is an exact decimal number, as a text."""

    key: str | UnsetType = UNSET
    owner: str | UnsetType = UNSET
    user: str | UnsetType = UNSET
    token: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    endpoint: str | UnsetType = UNSET
    outcome: str | UnsetType = UNSET
    month: str | UnsetType = UNSET
    day: str | UnsetType = UNSET
    hour: str | UnsetType = UNSET
    calls: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost_usd: str


class UsageList(Struct, kw_only=True):
    """The sums, ordered by their groups."""

    object: Literal["list"] = "list"
    data: list[UsageSum]
