"""The items of stored responses: continued, they are the messages that the same items are in an input."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge.responses import items
from edge.responses.asked import decoded_response
from edge.responses.request import to_chat_request
from services.responses.record import StoredResponse

texts = st.text(st.characters(codec="utf-8"), max_size=9)
words = st.sampled_from(["input_text", "output_text", "text"])
parts = st.builds(lambda kind, text: {"type": kind, "text": text}, words, texts) | texts.map(
    lambda text: {"type": "refusal", "refusal": text}
)
contents = texts | st.lists(parts, max_size=3)
messages = st.builds(
    lambda role, content, kind: {"role": role, "content": content, **kind},
    st.sampled_from(["user", "assistant", "system", "developer"]),
    contents,
    st.sampled_from([{}, {"type": "message", "id": "msg_1", "status": "completed"}]),
)
calls = st.builds(
    lambda name, arguments: {"type": "function_call", "call_id": "c1", "name": name, "arguments": arguments},
    texts,
    texts,
)
outputs = contents.map(lambda output: {"type": "function_call_output", "call_id": "c1", "output": output})
reasoning = st.just({"type": "reasoning", "summary": []})
inputs = texts | st.lists(messages | calls | outputs | reasoning, max_size=6)


def body(given: Any) -> Any:
    return decoded_response(json.dumps({"model": "m", "input": given}).encode()).body


def messages_of(given: Any, history: Any = ()) -> Any:
    return [_plain(message) for message in to_chat_request(body(given), history)[0].messages]


def stored(number: int, given: Any, output: Any) -> StoredResponse:
    kept = items.kept(body(given).input)
    return StoredResponse(f"resp_{number}", "ana", datetime.now(UTC), kept, json.dumps({"output": [output]}))


def items_of(given: Any) -> list[Any]:
    return [{"role": "user", "content": given}] if isinstance(given, str) else given


@given(inputs, inputs)
def test_a_continued_input_is_the_messages_that_it_was(first: Any, second: Any) -> None:
    text = {"type": "output_text", "text": "Yes.", "annotations": [], "logprobs": []}
    answer = {"type": "message", "id": "msg_0", "role": "assistant", "status": "completed", "content": [text]}
    continued = messages_of(second, items.history([stored(1, first, answer)]))
    assert continued == messages_of([*items_of(first), answer, *items_of(second)])


def _plain(message: Any) -> Any:
    """A message whose texts are one: how they were cut into parts is not kept of refusals and of single texts."""
    return message.role, "".join(part.text for part in message.content), list(message.tool_calls), message.tool_call_id


@given(inputs, inputs, st.integers(1, 5), st.booleans())
def test_pages_of_items_join_to_all_of_them(first: Any, second: Any, limit: int, newest_first: bool) -> None:
    call = {"type": "function_call", "id": "fc_0", "call_id": "c", "name": "n", "arguments": "", "status": "completed"}
    conversation = [stored(1, first, call), stored(2, second, call)]
    listed = items.used_items(conversation)
    expected = [item.id for item in (reversed(listed) if newest_first else listed)]
    assert len(set(expected)) == len(expected)
    seen: list[str] = []
    page = items.page(listed, None, limit, newest_first=newest_first)
    seen += [item.id for item in page.data]
    while page.has_more:
        page = items.page(listed, page.last_id, limit, newest_first=newest_first)
        seen += [item.id for item in page.data]
    assert seen == expected
