"""`GET /v1/usage`: what the caller's own key has used, and what it cost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from starlette.responses import Response

from chasqui.v1 import usage_service_pb2
from edge.http.call_options import CallOptions
from edge.openai.usage_schema import UsageList, UsageSum
from services.errors import InvalidValue, quoted

if TYPE_CHECKING:
    from starlette.requests import Request

    from edge.upstream.client import Upstream

_FILTERS: Final = tuple(usage_service_pb2.UsageFilter.DESCRIPTOR.fields_by_name)
_PARAMETERS: Final = ("by", "since", "until", *_FILTERS)


class Usage:
    """The endpoint.

    Query parameters: `by`, names with commas; `since` and `until`, dates or times of ISO 8601; filters of calls.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def list(self, request: Request) -> Response:
        """The sums that are asked for."""
        given = request.query_params
        for name in given:
            if name not in _PARAMETERS:
                raise InvalidValue(
                    f"The parameter {quoted(name)} is none of {', '.join(_PARAMETERS)}.", param=name[:80]
                )
        wanted = usage_service_pb2.ListUsageRequest(
            by=[name for name in given.get("by", "").split(",") if name],
            since=_moment(given.get("since"), "since"),
            until=_moment(given.get("until"), "until"),
            filter=usage_service_pb2.UsageFilter(**{name: given[name] for name in _FILTERS if name in given}),
        )
        answer = await self._upstream.list_usage(wanted, CallOptions.from_headers(request.headers))
        body = UsageList(data=[_row(one) for one in answer.sums])
        return Response(msgspec.json.encode(body), media_type="application/json")


def _row(one: usage_service_pb2.UsageSum) -> UsageSum:
    return UsageSum(
        **one.groups,
        calls=one.calls,
        prompt_tokens=one.prompt_tokens,
        cached_tokens=one.cached_tokens,
        completion_tokens=one.completion_tokens,
        cost_usd=one.cost_usd,
    )


def _moment(text: str | None, name: str) -> Timestamp | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        stamp = Timestamp()
        stamp.FromDatetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (OverflowError, ValueError):
        raise InvalidValue(
            f"{name} is {quoted(text)}, but must be a date or a time, as 2027-01-31.", param=name
        ) from None
    return stamp
