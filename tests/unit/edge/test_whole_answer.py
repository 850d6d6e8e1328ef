"""Unstreamed answers with log probabilities: JSON in parts, equal to what one encoding would give."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from chasqui.v1 import chat_pb2, stream_pb2
from edge.http.json_body import send_json
from edge.openai.asked import asked_chat, asked_completion
from tests.support import events
from tests.support.asgi import GatedSend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.api.whole_answer import WholeAnswer

CHAT = b'{"model": "m", "messages": [{"role": "user", "content": "Hello!"}]}'


def delta(index: int, first: int, *, top: int) -> stream_pb2.StreamEvent:
    """Three tokens of a choice, numbered from `first`, with their probabilities."""
    words = [f"{number}é " for number in range(first, first + 3)]
    others = [chat_pb2.TopLogprob(token=f"other{n}", logprob=-2.5, bytes=b"other") for n in range(top)]
    content = [
        chat_pb2.TokenLogprob(token=word, logprob=-0.5, bytes=word.encode(), top_logprobs=others) for word in words
    ]
    logprobs = chat_pb2.ChoiceLogprobs(content=content)
    return stream_pb2.StreamEvent(delta=stream_pb2.ChoiceDelta(index=index, content="".join(words), logprobs=logprobs))


def fill(answer: WholeAnswer, *, top: int) -> None:
    answer.add_all([events.started()])
    for first in range(0, 9, 3):
        for index in (1, 0):
            answer.add_all([delta(index, first, top=top)])
    answer.add_all([events.finish(1), events.finish(0), events.completed()])


@pytest.mark.parametrize("top", [0, 2])
def test_a_chat_has_the_entries_of_every_choice_in_their_order(top: int) -> None:
    answer = asked_chat(CHAT).new_answer()
    fill(answer, top=top)
    body = json.loads(b"".join(answer.json()))
    assert [choice["index"] for choice in body["choices"]] == [0, 1]
    for choice in body["choices"]:
        entries = choice["logprobs"]["content"]
        assert "".join(entry["token"] for entry in entries) == choice["message"]["content"]
        assert b"".join(bytes(entry["bytes"]) for entry in entries).decode() == choice["message"]["content"]
        assert [len(entry["top_logprobs"]) for entry in entries] == [top] * 9
        assert choice["logprobs"]["refusal"] is None
    assert body["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("top", [0, 2])
def test_a_text_completion_has_columns_of_equal_length_for_every_choice(top: int) -> None:
    answer = asked_completion(json.dumps({"model": "m", "prompt": "Hello!", "logprobs": top}).encode()).new_answer()
    fill(answer, top=top)
    for choice in json.loads(b"".join(answer.json()))["choices"]:
        columns = choice["logprobs"]
        assert "".join(columns["tokens"]) == choice["text"]
        assert columns["token_logprobs"] == [-0.5] * 9
        expected = None if not top else [{"other0": -2.5, "other1": -2.5}] * 9
        assert columns["top_logprobs"] == expected
        lengths = [after - before for before, after in pairwise(columns["text_offset"])]
        assert lengths == [len(token) for token in columns["tokens"][:-1]]


def test_an_answer_without_log_probabilities_says_so() -> None:
    answer = asked_chat(CHAT).new_answer()
    answer.add_all([events.started()])
    answer.add_text(0, "Hello!")
    answer.add_all([events.finish(), events.completed()])
    (choice,) = json.loads(b"".join(answer.json()))["choices"]
    assert (choice["logprobs"], choice["message"]["content"]) == (None, "Hello!")


async def test_a_large_body_is_sent_in_small_writes_between_which_others_run() -> None:
    send = GatedSend()
    turns: list[int] = []

    async def other() -> None:
        while True:
            turns.append(len(send.sent))
            await asyncio.sleep(0)

    def parts() -> Iterator[bytes]:
        for letter in (b"a", b"b"):
            yield letter * 3_000_000

    task = asyncio.create_task(other())
    await send_json(send, parts(), {"x": "y"})
    task.cancel()
    head: Any
    head, *writes = send.sent
    assert dict(head["headers"])[b"content-length"] == b"6000000"
    assert send.body() == b"a" * 3_000_000 + b"b" * 3_000_000
    assert [write["more_body"] for write in writes] == [True] * (len(writes) - 1) + [False]
    assert max(len(write["body"]) for write in writes) <= 256 * 1024
    assert len(set(turns)) > len(writes) // 2
