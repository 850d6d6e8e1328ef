"""From our errors to google.rpc.Status: ErrorInfo, and BadRequest, RetryInfo or QuotaFailure where they apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from services.errors import ERROR_DOMAIN, NOT_ADMITTED, ChasquiError, Code, RateLimitExceeded

if TYPE_CHECKING:
    import grpc

# Clients accept 8 KiB of trailing metadata. The message is in it up to three times, once as percent-encoded ASCII and
# twice in base64, and the name of the field twice.
_MAX_MESSAGE_BYTES = 800
_MAX_PARAM_BYTES = 200


def status_of(error: ChasquiError) -> status_pb2.Status:
    """The rich status of an error; pure."""
    message = _cut(error.message, _MAX_MESSAGE_BYTES)
    param = _cut(error.param or "", _MAX_PARAM_BYTES)
    details: list[Any] = [
        error_details_pb2.ErrorInfo(
            reason=error.reason, domain=ERROR_DOMAIN, metadata={"param": param} if param else None
        )
    ]
    if error.code is Code.INVALID_ARGUMENT and param:
        violation = error_details_pb2.BadRequest.FieldViolation(field=param, description=message)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.retry_after is not None:
        delay = Duration()
        delay.FromMilliseconds(round(error.retry_after * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if isinstance(error, RateLimitExceeded):
        details[0].metadata.update(error.rate_limits)
        violation = error_details_pb2.QuotaFailure.Violation(subject=error.limit, description=message)
        details.append(error_details_pb2.QuotaFailure(violations=[violation]))
    packed = []
    for detail in details:
        any_message = AnyMessage()
        any_message.Pack(detail)
        packed.append(any_message)
    return status_pb2.Status(code=error.code.value, message=message, details=packed)


def _cut(text: str, limit: int) -> str:
    """The text, cut to `limit` bytes of UTF-8 with an ellipsis."""
    data = text.encode()
    return text if len(data) <= limit else data[: limit - 3].decode(errors="ignore") + "…"


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: ChasquiError) -> NoReturn:
    """End the RPC with the error; raises grpc.aio.AbortError, as aborting does."""
    status = rpc_status.to_status(status_of(error))
    if error.not_admitted:
        status = status._replace(trailing_metadata=(*status.trailing_metadata, NOT_ADMITTED))
    if isinstance(error, RateLimitExceeded):
        status = status._replace(trailing_metadata=(*status.trailing_metadata, *error.rate_limits.items()))
    await context.abort_with_status(status)
    raise error  # unreachable, abort_with_status raises; the type checker cannot know
