"""The response header that shows what an unstreamed call's prompt shares with an earlier one of its caller."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chasqui.v1.chat_service_pb2 import ChatResponse


def shared_prompt_header(answer: ChatResponse) -> dict[str, str]:
    """The header, or nothing for a caller's first prompt. JSON in ASCII, with the fields that the last chunk has."""
    if not answer.HasField("shared_prompt"):
        return {}
    shared = answer.shared_prompt
    fields = {"tokens": shared.tokens, "previous_tokens": shared.previous_tokens, "parted_at": shared.parted_at}
    # DEL is the one control character that JSON does not escape.
    return {"x-shared-prompt": json.dumps(fields).replace("\x7f", "\\u007f")}
