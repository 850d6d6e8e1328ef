"""What usage records, spans and metrics report of a call beside how it went."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chasqui.v1 import chat_pb2
    from chasqui.v1.chat_service_pb2 import ChatRequest
    from chasqui.v1.stream_pb2 import Started
    from services.accounts.keys.caller import Caller
    from services.accounts.limiting.api import Standing
    from services.accounts.prices.price import Price
    from services.service_tier import ServiceTier
    from services.telemetry.call import CallContext


@dataclass(frozen=True, slots=True)
class CallIds:
    """The ids of a call: the caller's, that of its trace (32 hexadecimal digits), and that of its response."""

    request_id: str
    trace_id: str
    chat_id: str


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model that answers a call, and the name or alias by which the caller asked for it."""

    name: str
    fingerprint: str
    price: Price
    requested: str


@dataclass(frozen=True, slots=True)
class CallOrigin:
    """Who made a call, how and when."""

    ids: CallIds
    caller: Caller
    endpoint: str  # one of services/accounts/keys/key.py
    user: str  # a hash of the end user's id, empty without one
    arrived: datetime


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of a call when its prompt is tokenised."""

    origin: CallOrigin
    model: ServedModel
    operation: str  # as OpenTelemetry names it
    n: int
    tier: ServiceTier
    received: float  # when, by the monotonic clock
    tokenize_seconds: float  # from then on, until the prompt was tokenised and the grammar compiled
    limits: Standing  # since it was counted
    shared_prompt: chat_pb2.SharedPrompt | None = None  # with an earlier prompt of the caller


def origin_of(request: ChatRequest, context: CallContext, caller: Caller) -> CallOrigin:
    """The origin of a call that has just arrived. A gRPC caller's request says which endpoint it is over REST."""
    endpoint = caller.endpoint or ("completions" if request.HasField("prompt") else "chat/completions")
    return CallOrigin(ids_of(request, context, caller.call_id), caller, endpoint, user_hash(request), datetime.now(UTC))


def lost_origin(started: Started, caller: Caller) -> CallOrigin:
    """The origin of a call of which only its first event is left."""
    arrived = started.created.ToDatetime(UTC)
    return CallOrigin(CallIds("", "", started.id), caller, caller.endpoint, "", arrived)


def user_hash(request: ChatRequest) -> str:
    """Distinguishes end users without naming them; empty if the request names none."""
    return hashlib.sha256(request.user.encode()).hexdigest()[:16] if request.user else ""


def ids_of(request: ChatRequest, context: CallContext, call_id: str = "") -> CallIds:
    """The ids of a new call; that of its response has OpenAI's form."""
    prefix = "cmpl-" if request.HasField("prompt") else "chatcmpl-"
    return CallIds(context.request_id, context.trace_id, f"{prefix}{call_id or _new_id()}")


def _new_id() -> str:
    """32 hexadecimal digits: the milliseconds of the time, as those of a UUID of version 7 begin, and 80 random bits.

    So the ledger adds its rows at the end of their index. Of random ids each row changes a page of its own.
    """
    return f"{time.time_ns() // 1_000_000:012x}{token_hex(10)}"
