"""What identifies a call in logs and traces, in the edge and in the chat server."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

_SAFE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


@dataclass(slots=True)
class CallContext:
    """`span` is that of the call's RPC; `trace_id` has 32 hexadecimal digits."""

    request_id: str
    trace_id: str
    span: SpanContext
    accepted: bool = False  # whether it is a chat call that was submitted to the engine: its usage record is a log line


current_call: ContextVar[CallContext] = ContextVar("current_call")


def request_id_from(given: str | None) -> str:
    """The caller's request id if it is safe to log and return, or a new one."""
    return given if given is not None and _SAFE_REQUEST_ID.fullmatch(given) else str(uuid4())
