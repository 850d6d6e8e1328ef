"""The JSON of stored items, as they are kept and listed, and of what is answered about stored responses."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from edge.responses.answer_schema import OutputCall, OutputText


class InputText(Struct, tag_field="type", tag="input_text"):
    """A text of the caller."""

    text: str


class MessageItem(Struct, tag_field="type", tag="message"):
    """A message of the conversation. Its id is empty as it is kept."""

    id: str
    role: str
    content: list[InputText | OutputText]
    status: str = "completed"


class CallOutputItem(Struct, tag_field="type", tag="function_call_output"):
    """What a call has returned. Its id is empty as it is kept."""

    id: str
    call_id: str
    output: str | list[InputText]
    status: str = "completed"


ResponseItem = MessageItem | OutputCall | CallOutputItem


class ResponseItemList(Struct):
    """A page of items."""

    data: list[ResponseItem]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class DeletedResponse(Struct):
    """A response that was deleted."""

    id: str
    object: Literal["response"] = "response"
    deleted: bool = True
