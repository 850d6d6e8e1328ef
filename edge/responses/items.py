"""The items of stored responses: as they are kept, continued and listed; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from edge.responses.answer_schema import OutputCall, OutputText
from edge.responses.item_schema import CallOutputItem, InputText, MessageItem, ResponseItem, ResponseItemList
from edge.responses.request_schema import InputItemBody
from services.errors import InvalidValue, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.responses.request_schema import InputPartBody
    from services.responses.record import StoredResponse

# Of the ids of a request's own items, by the tag of their struct.
_PREFIXES: Final = {"message": "msg", "function_call": "fc", "function_call_output": "fco"}


class _Continued(msgspec.Struct):
    output: list[InputItemBody]


class _Listed(msgspec.Struct):
    output: list[ResponseItem]


_INPUT: Final = msgspec.json.Decoder(list[InputItemBody])
_OUTPUT: Final = msgspec.json.Decoder(_Continued)
_LISTED_INPUT: Final = msgspec.json.Decoder(list[ResponseItem])
_LISTED_OUTPUT: Final = msgspec.json.Decoder(_Listed)


def kept(given: str | Sequence[InputItemBody]) -> str:
    """The JSON of a valid input as it is stored; reasoning items are not part of it."""
    items = [InputItemBody(role="user", content=given)] if isinstance(given, str) else given
    return msgspec.json.encode([_item(item) for item in items if item.type != "reasoning"]).decode()


def history(conversation: Sequence[StoredResponse]) -> list[InputItemBody]:
    """The items of responses, inputs and outputs, as those of a request."""
    items: list[InputItemBody] = []
    for response in conversation:
        items += _INPUT.decode(response.input)
        items += _OUTPUT.decode(response.body).output
    return items


def used_items(conversation: Sequence[StoredResponse]) -> list[ResponseItem]:
    """The items that the last response was made of: everything but its own output."""
    items: list[ResponseItem] = []
    for response in conversation:
        own = _LISTED_INPUT.decode(response.input)
        for number, item in enumerate(own):
            digits = response.id.partition("_")[2]
            item.id = f"{_PREFIXES[str(item.__struct_config__.tag)]}_{digits}_in{number}"
        items += own
        if response is not conversation[-1]:
            items += _LISTED_OUTPUT.decode(response.body).output
    return items


def page(items: Sequence[ResponseItem], after: str | None, limit: int, *, newest_first: bool) -> ResponseItemList:
    """Up to `limit` items behind the one with the id `after`; InvalidValue if there is no such item."""
    ordered = list(reversed(items)) if newest_first else list(items)
    if after is not None:
        places = [place for place, item in enumerate(ordered) if item.id == after]
        if not places:
            raise InvalidValue(f"There is no item {quoted(after)}.", param="after")
        ordered = ordered[places[0] + 1 :]
    shown = ordered[:limit]
    first, last = (shown[0].id, shown[-1].id) if shown else (None, None)
    return ResponseItemList(shown, first, last, has_more=len(ordered) > limit)


def _item(item: InputItemBody) -> ResponseItem:
    if item.type == "function_call":
        return OutputCall("", item.call_id or "", item.name or "", item.arguments or "", "completed")
    if item.type == "function_call_output":
        output = item.output or ""
        parts = output if isinstance(output, str) else [InputText(_text(part)) for part in output]
        return CallOutputItem("", item.call_id or "", parts)
    kind = OutputText if item.role == "assistant" else InputText
    content = item.content or ""
    texts = [content] if isinstance(content, str) else [_text(part) for part in content]
    return MessageItem("", item.role or "", [kind(text) for text in texts])


def _text(part: InputPartBody) -> str:
    return (part.refusal if part.type == "refusal" else part.text) or ""
