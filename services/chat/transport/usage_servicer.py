"""The RPC of UsageService."""

from __future__ import annotations

import asyncio
from datetime import UTC
from typing import TYPE_CHECKING, Any

from chasqui.v1 import usage_service_pb2, usage_service_pb2_grpc
from services.accounts.key import AccountsError
from services.accounts.usage import GROUPS, UsageQuery
from services.chat.transport.interceptors import metadata_of
from services.errors import InvalidValue, NoAccounts, Unavailable, quoted

if TYPE_CHECKING:
    from datetime import datetime

    import grpc
    from google.protobuf.timestamp_pb2 import Timestamp

    from services.accounts.api import Accounts
    from services.accounts.usage import UsageRow
    from services.chat.transport.authentication import Authentication

    Context = grpc.aio.ServicerContext[Any, Any]

_RETRY_SECONDS = 5.0


class UsageServicer(usage_service_pb2_grpc.UsageServiceServicer):
    """Sums over the ledger, of the caller's own calls."""

    def __init__(self, authentication: Authentication, accounts: Accounts | None) -> None:
        self._authentication = authentication
        self._accounts = accounts

    async def ListUsage(  # noqa: N802 - the contract's name
        self, request: usage_service_pb2.ListUsageRequest, context: Context
    ) -> usage_service_pb2.ListUsageResponse:
        """The sums that are asked for."""
        if self._accounts is None:
            raise NoAccounts("This server keeps no ledger.")
        unknown = [name for name in request.by if name not in GROUPS]
        if unknown:
            raise InvalidValue(f"by has {quoted(unknown[0])}, but may have {', '.join(GROUPS)}.", param="by")
        caller = self._authentication.caller(metadata_of(context.invocation_metadata()))
        query = UsageQuery(
            by=tuple(dict.fromkeys(request.by)),
            since=_moment(request.since, "since") if request.HasField("since") else None,
            until=_moment(request.until, "until") if request.HasField("until") else None,
            key=caller.account,
        )
        try:
            rows = await asyncio.to_thread(self._accounts.usage, query)
        except AccountsError as error:
            raise Unavailable(str(error), reason="UNAVAILABLE", retry_after=_RETRY_SECONDS) from error
        return usage_service_pb2.ListUsageResponse(sums=[_sum(row) for row in rows])


def _moment(given: Timestamp, name: str) -> datetime:
    try:
        return given.ToDatetime(UTC)
    except (OverflowError, ValueError) as error:
        raise InvalidValue(f"{name} is no time between the years 1 and 9999.", param=name) from error


def _sum(row: UsageRow) -> usage_service_pb2.UsageSum:
    return usage_service_pb2.UsageSum(
        groups=row.groups,
        calls=row.calls,
        prompt_tokens=row.prompt_tokens,
        cached_tokens=row.cached_tokens,
        completion_tokens=row.completion_tokens,
        cost_usd=f"{row.cost:f}",
    )
