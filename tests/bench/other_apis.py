"""Responses and Messages as the callers of soak and siege use them: requests, and the text of answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.bench import load

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"


@dataclass(frozen=True, slots=True)
class Api:
    """`body` makes a request with a prompt, for so many tokens.

    `whole` and `delta` find the text in an answer and in an event; `last` are the events that end a whole stream.
    `counted` gives the tokens of prompt and answer, and the cost, that a usage has.
    """

    path: str
    body: Callable[[Any, int], dict[str, Any]]
    whole: Callable[[Any], str]
    delta: Callable[[Any], str]
    last: frozenset[str]
    counted: Callable[[Any], tuple[int, int, float]]


def _response_body(prompt: str | list[Any], tokens: int) -> dict[str, Any]:
    return {"model": MODEL, "input": prompt, "max_output_tokens": tokens}


def _response_text(answer: Any) -> str:
    return "".join(part["text"] for item in answer["output"] for part in item["content"])


def _message_body(prompt: str, tokens: int) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": prompt}], "max_tokens": tokens}


RESPONSES = Api(
    "/v1/responses",
    _response_body,
    _response_text,
    lambda event: event["delta"] if event["type"] == "response.output_text.delta" else "",
    frozenset({"response.completed", "response.incomplete"}),
    lambda usage: (usage["input_tokens"], usage["output_tokens"], usage["estimated_cost"]),
)
MESSAGES = Api(
    "/v1/messages",
    _message_body,
    lambda answer: "".join(block["text"] for block in answer["content"]),
    lambda event: event["delta"]["text"] if event["type"] == "content_block_delta" else "",
    frozenset({"message_stop"}),
    lambda usage: (
        usage["input_tokens"] + usage["cache_read_input_tokens"],
        usage["output_tokens"],
        usage["estimated_cost"],
    ),
)
APIS = {"responses": RESPONSES, "messages": MESSAGES}


async def stream(port: int, api: Api, body: dict[str, Any], key: str) -> tuple[str, float, Any]:
    """The text of a streamed answer, the longest gap between two texts in seconds, and the last event.

    load.WrongAnswerError if it is refused or cut off.
    """
    _, pieces = await load.receive(port, {**body, "stream": True}, key, api.path)
    texts, arrivals, event = [], [], {"type": ""}
    for moment, data in load.events_in(pieces):
        event = json.loads(data.partition(b"data: ")[2])
        text = api.delta(event)
        if text:
            texts.append(text)
            arrivals.append(moment)
    if event["type"] not in api.last:
        raise load.WrongAnswerError(f"the stream ends with {event}")
    gap = max((later - earlier for earlier, later in pairwise(arrivals)), default=0.0)
    return "".join(texts), gap, event
