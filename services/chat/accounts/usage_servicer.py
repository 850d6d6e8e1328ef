"""The RPC of UsageService."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from chasqui.v1 import usage_service_pb2, usage_service_pb2_grpc
from services.accounts.ledger.usage import GROUPS, UsageQuery
from services.chat.accounts.database_work import done
from services.chat.accounts.moments import moment_of
from services.chat.transport.interceptors import metadata_of
from services.errors import InvalidValue, NoAccounts, PermissionDenied, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    import grpc

    from services.accounts.api import Accounts
    from services.accounts.ledger.usage import UsageRow
    from services.chat.transport.authentication import Authentication

    Context = grpc.aio.ServicerContext[Any, Any]


class UsageServicer(usage_service_pb2_grpc.UsageServiceServicer):
    """Sums over the ledger."""

    def __init__(self, authentication: Authentication | None, accounts: Accounts | None) -> None:
        """Callers see their own calls; without `authentication`, where they are all administrators, those of all."""
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
        query = UsageQuery(
            by=tuple(dict.fromkeys(request.by)),
            since=moment_of(request.since, "since") if request.HasField("since") else None,
            until=moment_of(request.until, "until") if request.HasField("until") else None,
            where=_where(request.filter, self._own(context)),
        )
        rows = await done(partial(self._accounts.usage, query))
        return usage_service_pb2.ListUsageResponse(sums=[_sum(row) for row in rows])

    def _own(self, context: Context) -> dict[str, str]:
        """What all calls have that the caller may see."""
        if self._authentication is None:
            return {}
        caller = self._authentication.caller(metadata_of(context.invocation_metadata()))
        return {"key": caller.account} | ({} if caller.token is None else {"token": caller.token.id})


def _where(given: usage_service_pb2.UsageFilter, own: Mapping[str, str]) -> dict[str, str]:
    """What the calls must have; PermissionDenied if others are asked for than those that the caller may see."""
    where = {field.name: value for field, value in given.ListFields()}
    for name, value in own.items():
        if where.setdefault(name, value) != value:
            raise PermissionDenied(f"The usage of another {name} is not for this API key to see.", param=name)
    return where


def _sum(row: UsageRow) -> usage_service_pb2.UsageSum:
    return usage_service_pb2.UsageSum(
        groups=row.groups,
        calls=row.calls,
        prompt_tokens=row.prompt_tokens,
        cached_tokens=row.cached_tokens,
        completion_tokens=row.completion_tokens,
        cost_usd=f"{row.cost:f}",
    )
