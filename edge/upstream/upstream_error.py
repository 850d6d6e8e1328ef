"""Failures of the chat server and of the connection to it, as errors of ours."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from services.errors import ChasquiError, Code, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import grpc

log = logging.getLogger(__name__)

_CODES: Final = frozenset(code.value for code in Code)


class UpstreamError(ChasquiError):
    """An error that the chat server answered with; `code` and `reason` are the server's."""

    def __init__(
        self, code: Code, message: str, *, info: Mapping[str, str], reason: str, retry_after: float | None
    ) -> None:
        """`info` is the metadata of the server's ErrorInfo."""
        super().__init__(message, param=info.get("param"), retry_after=retry_after)
        self.code = code  # type: ignore[misc]  # this class stands for every code
        self.reason = reason
        self.rate_limits = {name: value for name, value in info.items() if name.startswith("x-ratelimit-")}


def not_connected() -> Unavailable:
    """The call was not begun: there is no connection."""
    return Unavailable("The chat server cannot be reached.", reason="NOT_READY", retry_after=1.0)


def unreachable() -> Unavailable:
    """The call could not be begun, or the connection broke before its end."""
    return Unavailable("The chat server cannot be reached.", reason="UPSTREAM_UNAVAILABLE", retry_after=1.0)


def error_of_status(status: Status) -> ChasquiError:
    """The chat server's error, from the google.rpc.Status that it sends over gRPC and over the Relay."""
    code = Code(status.code) if status.code in _CODES else Code.INTERNAL
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        for known in (info, retry):
            if detail.Is(known.DESCRIPTOR):
                detail.Unpack(known)
    if not info.reason:
        # The message is the RPC library's, not the chat server's.
        if code is Code.UNAVAILABLE:
            return unreachable()
        if code is Code.CANCELLED:  # how it refuses a call that comes when the server has stopped
            return not_connected()
        log.error("the chat server answered %s: %s", code.name, status.message)
        return ChasquiError("The chat server failed; the operator's log says why.")
    retry_after = retry.retry_delay.ToTimedelta().total_seconds() or None
    return UpstreamError(code, status.message, info=info.metadata, reason=info.reason, retry_after=retry_after)


def error_of_rpc(error: grpc.aio.AioRpcError) -> ChasquiError:
    """The error of an RPC: the chat server's, or that of a connection which failed."""
    number, _ = error.code().value
    status = rpc_status.from_call(error)
    return error_of_status(status if status is not None else Status(code=number, message=error.details() or ""))
