"""Reading the body of a JSON request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.requests import ClientDisconnect, Request

from edge.http.body import read_json_body

if TYPE_CHECKING:
    from starlette.types import Message


def request(messages: list[Message], **headers: str) -> Request:
    """A request whose server has these messages and no more."""

    async def receive() -> Message:
        return messages.pop(0)

    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": encoded}, receive)


def part(data: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


async def test_a_body_of_the_announced_length_is_complete_without_one_more_message() -> None:
    assert await read_json_body(request([part(b"{"), part(b"}")], content_length="2")) == b"{}"


@pytest.mark.parametrize("headers", [{}, {"content_length": "3"}], ids=["none", "another"])
async def test_without_that_length_the_body_ends_where_the_server_says(headers: dict[str, str]) -> None:
    messages = [part(b"{}"), part(b"", more=False)]
    assert await read_json_body(request(messages, **headers)) == b"{}"
    assert messages == []


async def test_a_caller_who_leaves_before_the_end_has_sent_no_body() -> None:
    with pytest.raises(ClientDisconnect):
        await read_json_body(request([part(b"{"), {"type": "http.disconnect"}], content_length="2"))
