"""The state of the current HTTP request, for its span, metric and log line."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Send

    from chasqui.v1.chat_pb2 import Usage
    from services.errors import ChasquiError
    from services.telemetry.spans import RequestSpan

# nginx's status for a caller who disconnected; only recorded, never sent.
CLIENT_CLOSED_REQUEST: Final = 499


@dataclass(slots=True)
class Exchange:
    """A request and its response. `trace_id` has 32 hexadecimal digits."""

    request_id: str
    trace_id: str
    span: RequestSpan
    send: Send  # the server's own, without middleware around it
    write: Callable[[bytes], bool]  # edge.http2's extension of ASGI
    route: str | None = None  # the path pattern that matched
    endpoint: str = ""  # the pattern without its prefix, by which a key may be allowed to use it
    status: int | None = None  # None until it is sent
    error: ChasquiError | None = None  # why the request was refused or its stream ended early
    hung_up: bool = False  # whether the caller disconnected before the end
    model: str | None = None  # the model that generated
    usage: Usage | None = None  # None until generation has completed


current_exchange: ContextVar[Exchange] = ContextVar("current_exchange")
