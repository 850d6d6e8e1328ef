"""What is known of the HTTP request that is being answered: kept for its span, its metric and its log line."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chasqui.v1.chat_pb2 import Usage
    from services.errors import ChasquiError
    from services.telemetry.spans import BegunSpan

# How a caller that hangs up is counted; nobody is sent this.
CLIENT_CLOSED_REQUEST: Final = 499


@dataclass(slots=True)
class Exchange:
    """A request and its answer. `trace_id` has 32 hexadecimal digits."""

    request_id: str
    trace_id: str
    span: BegunSpan
    route: str | None = None  # the pattern that the path matched
    status: int | None = None  # as sent; None until then
    error: ChasquiError | None = None  # that refused the request or ended its stream
    hung_up: bool = False  # whether the caller left before the end
    model: str | None = None  # that answered
    usage: Usage | None = None  # once the answer is complete


current_exchange: ContextVar[Exchange] = ContextVar("current_exchange")
