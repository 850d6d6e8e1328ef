"""The RPCs of TokenService."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from chasqui.v1 import token_service_pb2, token_service_pb2_grpc
from services.accounts.keys.scoped_token import LONGEST, ScopedToken, ScopeError, spending_limit
from services.chat.accounts.database_work import done
from services.chat.accounts.moments import moment_of, timestamp_of
from services.chat.transport.interceptors import metadata_of
from services.errors import InvalidApiKey, InvalidValue, NoAccounts, PermissionDenied

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from services.accounts.api import Accounts
    from services.accounts.limiting.limiter import Limiter
    from services.chat.transport.authentication import Authentication

    Context = grpc.aio.ServicerContext[Any, Any]


class TokenServicer(token_service_pb2_grpc.TokenServiceServicer):
    """Scoped tokens of the key in the metadata."""

    def __init__(self, authentication: Authentication, accounts: Accounts | None, limiter: Limiter) -> None:
        self._authentication = authentication
        self._accounts = accounts
        self._limiter = limiter

    async def CreateToken(  # noqa: N802 - the contract's name
        self, request: token_service_pb2.CreateTokenRequest, context: Context
    ) -> token_service_pb2.CreateTokenResponse:
        """Sign a token."""
        async with self._signer(context) as (accounts, _, secret):
            try:
                token = _token(request.scope)
            except ScopeError as error:
                raise InvalidValue(str(error), param=_FIELDS[error.field]) from error
            return token_service_pb2.CreateTokenResponse(token=accounts.sign(secret, token), scope=_scope(token))

    async def GetToken(  # noqa: N802 - the contract's name
        self, request: token_service_pb2.GetTokenRequest, context: Context
    ) -> token_service_pb2.GetTokenResponse:
        """Describe a token."""
        async with self._signer(context) as (accounts, name, _):
            try:
                key, token = accounts.token(request.token)
            except (InvalidApiKey, PermissionDenied) as error:
                raise InvalidValue(error.message, param="token") from error
            if key.name != name:
                raise InvalidValue("The token is signed by another key.", param="token")
            spent = await done(partial(accounts.token_spent, name, token.id))
        return token_service_pb2.GetTokenResponse(scope=_scope(token), spent_usd=f"{spent:f}")

    @asynccontextmanager
    async def _signer(self, context: Context) -> AsyncIterator[tuple[Accounts, str, str]]:
        """The accounts, and the name and the secret of the key that calls: one of its calls while the block runs.

        Raises what refuses a caller that cannot sign, and what `Limiter.admit` raises.
        """
        if self._accounts is None:
            raise NoAccounts("Scoped tokens need CHASQUI_ACCOUNTS, which this server does not have.")
        metadata = metadata_of(context.invocation_metadata())
        caller = self._authentication.caller(metadata)
        if caller.key is None:
            raise PermissionDenied("Only the keys of CHASQUI_ACCOUNTS can sign tokens, not those of CHASQUI_API_KEYS.")
        allowance = await self._limiter.admit(caller)
        context.set_trailing_metadata((*context.trailing_metadata(), *allowance.standing.headers().items()))
        try:
            yield self._accounts, caller.account, self._authentication.secret(metadata)
        finally:
            allowance.settle()


# Of a scope, by the name of the token's field.
_FIELDS = {
    "id": "scope.id",
    "expires_at": "scope.expires_at",
    "models": "scope.models",
    "spending_limit": "scope.spending_limit_usd",
}


def _token(scope: token_service_pb2.TokenScope) -> ScopedToken:
    """The token of a scope, with defaults; ScopeError or InvalidValue if there is none."""
    now = datetime.now(UTC)
    end = moment_of(scope.expires_at, "scope.expires_at") if scope.HasField("expires_at") else now + LONGEST
    if end <= now:
        raise ScopeError("The token must expire later than now.", "expires_at")
    return ScopedToken(
        scope.id or uuid4().hex,
        end,
        tuple(scope.models),
        spending_limit(scope.spending_limit_usd) if scope.HasField("spending_limit_usd") else None,
    )


def _scope(token: ScopedToken) -> token_service_pb2.TokenScope:
    limit = token.spending_limit
    return token_service_pb2.TokenScope(
        id=token.id,
        expires_at=timestamp_of(token.expires_at),
        models=token.models,
        spending_limit_usd=None if limit is None else f"{limit:f}",
    )
