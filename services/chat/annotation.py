"""What a call's span says of it, in OpenTelemetry's words for generative AI."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from chasqui.v1.chat_service_pb2 import ChatRequest
    from services.chat.call import ChatCall


def annotate(span: Span, request: ChatRequest, call: ChatCall) -> None:
    """Tell what was asked and what was delivered."""
    if request.user:
        # Enough to tell users apart, too little to tell who they are.
        span.set_attribute("user.hash", hashlib.sha256(request.user.encode()).hexdigest()[:16])
    span.set_attributes(
        {
            "gen_ai.operation.name": "text_completion" if request.HasField("prompt") else "chat",
            "gen_ai.request.model": request.model,
            "gen_ai.response.model": call.started.model,
            "gen_ai.response.id": call.started.id,
            "gen_ai.response.finish_reasons": [reason for _, reason in sorted(call.finish_reasons.items())],
        }
    )
