"""Every API's writer, and readers of what it writes: the answer that a client has in the end, streamed or whole."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edge.anthropic.asked import asked_messages
from edge.openai.asked import asked_chat, asked_completion
from edge.responses.asked import asked_response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge.api.asked import Asked


@dataclass
class Read:
    """An answer as a client has it.

    `calls` are names and arguments; `order`, where an API shows it, has the texts and the names of calls in turn.
    """

    text: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    end: Any = None
    usage: Any = None
    order: list[str] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Api:
    """How an API is asked, also for log probabilities if it has them, and how its answers are read."""

    read: Callable[[bytes], Asked]
    body: Mapping[str, Any]
    streamed: Callable[[bytes], Read]
    whole: Callable[[bytes], Read]
    has_calls: bool = True
    scored: Mapping[str, Any] | None = None

    def asked(self, **fields: Any) -> Asked:
        """A request as the endpoint reads it."""
        return self.read(json.dumps({**self.body, **fields}).encode())


def events_in(data: bytes) -> list[tuple[str, Any]]:
    """The names and the JSON of server-sent events; [DONE] is left out."""
    events = []
    for block in data.decode().split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        if lines["data"] != "[DONE]":
            events.append((lines.get("event", ""), json.loads(lines["data"])))
    return events


def _chat_stream(data: bytes) -> Read:
    read = Read()
    for _, chunk in events_in(data):
        read.usage = chunk.get("usage", read.usage)
        for choice in chunk["choices"]:
            read.end = choice["finish_reason"] or read.end
            read.text += choice["delta"].get("content") or ""
            read.logprobs += (choice.get("logprobs") or {}).get("content", ())
            for call in choice["delta"].get("tool_calls", ()):
                if "id" in call:
                    read.calls.append((call["function"]["name"], ""))
                name, arguments = read.calls[call["index"]]
                read.calls[call["index"]] = name, arguments + call["function"]["arguments"]
    return read


def _chat_whole(data: bytes) -> Read:
    answer = json.loads(data)
    [choice] = answer["choices"]
    calls = [
        (call["function"]["name"], call["function"]["arguments"]) for call in choice["message"].get("tool_calls", ())
    ]
    logprobs = (choice["logprobs"] or {}).get("content", [])
    return Read(choice["message"]["content"] or "", calls, choice["finish_reason"], answer["usage"], logprobs=logprobs)


def _completion_stream(data: bytes) -> Read:
    read = Read()
    for _, chunk in events_in(data):
        read.usage = chunk.get("usage", read.usage)
        for choice in chunk["choices"]:
            read.end = choice["finish_reason"] or read.end
            read.text += choice["text"]
    return read


def _completion_whole(data: bytes) -> Read:
    answer = json.loads(data)
    [choice] = answer["choices"]
    return Read(choice["text"], [], choice["finish_reason"], answer["usage"])


def _messages_stream(data: bytes) -> Read:
    """Blocks come one after the other, each whole before the next; the events are in the order that is documented."""
    events = events_in(data)
    assert [name for name, _ in events] == [event["type"] for _, event in events]
    assert [name for name, _ in (events[0], *events[-2:])] == ["message_start", "message_delta", "message_stop"]
    read, is_open = Read(), False
    blocks: list[dict[str, Any]] = []
    for kind, event in events[1:-2]:
        if kind == "content_block_start":
            assert not is_open
            assert event["index"] == len(blocks)
            blocks.append(event["content_block"])
            is_open = True
        elif kind == "content_block_stop":
            assert is_open
            assert event["index"] == len(blocks) - 1
            is_open = False
        else:
            assert is_open
            assert event["index"] == len(blocks) - 1
            delta = event["delta"]
            if blocks[-1]["type"] == "text":
                blocks[-1]["text"] += delta["text"]
            else:
                blocks[-1]["json"] = blocks[-1].get("json", "") + delta["partial_json"]
    assert not is_open
    read.order = _order(blocks)
    for block in blocks:
        if block["type"] == "text":
            read.text += block["text"]
        else:
            read.calls.append((block["name"], block.get("json", "") or "{}"))
    read.end, read.usage = events[-2][1]["delta"], events[-2][1]["usage"]
    return read


def _messages_whole(data: bytes) -> Read:
    answer = json.loads(data)
    text = "".join(block["text"] for block in answer["content"] if block["type"] == "text")
    # As they are written, byte for byte.
    calls = [(block["name"], json.dumps(block["input"])) for block in answer["content"] if block["type"] == "tool_use"]
    end = {name: answer[name] for name in ("stop_reason", "stop_sequence")}
    return Read(text, calls, end, answer["usage"], _order(answer["content"]))


def _order(blocks: list[dict[str, Any]]) -> list[str]:
    return [block["text"] if block["type"] == "text" else block["name"] for block in blocks]


def _responses_stream(data: bytes) -> Read:
    """Items come one after the other, each whole before the next; their deltas are what their ends hold."""
    events = events_in(data)
    assert [name for name, _ in events] == [event["type"] for _, event in events]
    assert [event["sequence_number"] for _, event in events] == list(range(len(events)))
    assert [name for name, _ in events[:2]] == ["response.created", "response.in_progress"]
    last = events[-1][1]["response"]
    assert events[-1][0] == f"response.{last['status']}"
    done: list[Any] = []
    texts: list[str] = []
    logprobs: list[Any] = []
    for kind, event in events[2:-1]:
        assert event["output_index"] == len(done)
        if kind == "response.output_item.added":
            texts.append("")
            assert event["item"]["status"] == "in_progress"
        elif kind.endswith(".delta"):
            texts[-1] += event["delta"]
            logprobs += event.get("logprobs", ())
        elif kind == "response.output_item.done":
            done.append(event["item"])
        elif kind.endswith("output_text.done"):
            assert event["text"] == texts[-1]
        elif kind.endswith("arguments.done"):
            assert event["arguments"] == texts[-1]
        assert len(texts) - len(done) in (0, 1)
    assert last["output"] == done
    read = _read_response(last)
    assert read.logprobs == logprobs
    return read


def _responses_whole(data: bytes) -> Read:
    return _read_response(json.loads(data))


def _read_response(response: Any) -> Read:
    items = response["output"]
    text = "".join(part["text"] for item in items if item["type"] == "message" for part in item["content"])
    calls = [(item["name"], item["arguments"]) for item in items if item["type"] == "function_call"]
    order = [item["content"][0]["text"] if item["type"] == "message" else item["name"] for item in items]
    logprobs = [
        entry for item in items if item["type"] == "message" for part in item["content"] for entry in part["logprobs"]
    ]
    rest = {name: value for name, value in response.items() if name not in ("output", "usage")}
    return Read(text, calls, (rest, [item["status"] for item in items][-1]), response["usage"], order, logprobs)


_CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
APIS = {
    "chat": Api(asked_chat, _CHAT, _chat_stream, _chat_whole, scored={"logprobs": True}),
    "completions": Api(asked_completion, {"model": "m", "prompt": "Hi"}, _completion_stream, _completion_whole, False),
    "responses": Api(
        asked_response,
        {"model": "m", "input": "Hi"},
        _responses_stream,
        _responses_whole,
        scored={"include": ["message.output_text.logprobs"]},
    ),
    "messages": Api(asked_messages, _CHAT | {"max_tokens": 9}, _messages_stream, _messages_whole),
}
