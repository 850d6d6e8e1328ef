"""What goes wrong behind the edge, as our own errors."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.errors import ChasquiError, Code, Unavailable

if TYPE_CHECKING:
    import grpc

    from chasqui.v1.relay_service_pb2 import CallFailure

log = logging.getLogger(__name__)


class UpstreamError(ChasquiError):
    """What the chat server answered instead of a result; `code` and `reason` are its own."""

    def __init__(self, code: Code, message: str, *, reason: str, param: str | None, retry_after: float | None) -> None:
        super().__init__(message, param=param, retry_after=retry_after)
        self.code = code  # type: ignore[misc]  # this class stands for every code
        self.reason = reason


def not_connected() -> Unavailable:
    """The call was not begun."""
    return Unavailable("The chat server cannot be reached.", reason="NOT_READY", retry_after=1.0)


def unreachable() -> Unavailable:
    """The call could not be begun, or its end will never be known."""
    return Unavailable("The chat server cannot be reached.", reason="UPSTREAM_UNAVAILABLE", retry_after=1.0)


def error_of_failure(failure: CallFailure) -> ChasquiError:
    """The server's error, as the Relay tells it."""
    return UpstreamError(
        Code(failure.code),
        failure.message,
        reason=failure.reason,
        param=failure.param if failure.HasField("param") else None,
        retry_after=failure.retry_after.ToTimedelta().total_seconds() or None,
    )


def error_of_status(error: grpc.aio.AioRpcError) -> ChasquiError:
    """The server's error, or what a failed connection means to the caller."""
    code = Code.__members__.get(error.code().name, Code.INTERNAL)
    status = rpc_status.from_call(error)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details if status is not None else ():
        for known in (info, retry):
            if detail.Is(known.DESCRIPTOR):
                detail.Unpack(known)
    if not info.reason:
        # Not the server's own words, but those of the RPC library.
        if code is Code.UNAVAILABLE:
            return unreachable()
        log.error("the chat server answered %s: %s", code.name, error.details())
        return ChasquiError("The chat server failed; the operator's log says why.")
    retry_after = retry.retry_delay.ToTimedelta().total_seconds() or None
    return UpstreamError(
        code, error.details() or "", reason=info.reason, param=info.metadata.get("param"), retry_after=retry_after
    )
