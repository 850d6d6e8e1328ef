"""Answers that a test writes itself, in place of the service's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

_CHAT = "**/v1/chat/completions"


def answer_with(page: Page, content: str, *, cuts: int = 7, **choice: Any) -> None:
    """Every chat is answered with this text, in pieces; `choice` are more fields of its last chunk."""
    pieces = [content[at : at + cuts] for at in range(0, len(content), cuts)]
    chunks: list[dict[str, Any]] = [{"index": 0, "delta": {"role": "assistant", "content": piece}} for piece in pieces]
    chunks.append({"index": 0, "delta": {}, "finish_reason": "stop", **choice})
    events = [json.dumps({"model": "scripted", "choices": [chunk]}) for chunk in chunks]
    body = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])
    page.route(_CHAT, lambda route: route.fulfill(status=200, content_type="text/event-stream", body=body))


def refuse(page: Page, status: int, message: str, param: str | None = None) -> None:
    """Every chat is refused."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": "invalid_value"}

    def fulfil(route: Route) -> None:
        route.fulfill(status=status, content_type="application/json", body=json.dumps({"error": error}))

    page.route(_CHAT, fulfil)


def sent_bodies(page: Page) -> list[dict[str, Any]]:
    """The bodies of the chats that the page sends from now on."""
    bodies: list[dict[str, Any]] = []
    page.on(
        "request",
        lambda request: bodies.append(json.loads(request.post_data or "")) if request.method == "POST" else None,
    )
    return bodies
