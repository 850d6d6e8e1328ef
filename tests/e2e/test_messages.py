"""Anthropic's Messages through the real Envoy and edge, on answers that a script gives."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.support.front import front, served
from tests.support.http import get, post
from tests.support.scripted_engine import ScriptedEngine
from tests.support.writers import events_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.http import Reply

WEATHER = {"name": "get_weather", "parameters": {"city": "São Paulo"}}
TOOLS = [{"name": "get_weather", "description": "d", "input_schema": {"type": "object"}}]
HELLO = [{"role": "user", "content": "Hello!"}]
PATHS = ["/v1/messages", "/anthropic/v1/messages"]

# One service for all tests, and therefore one event loop.
pytestmark = pytest.mark.asyncio(loop_scope="module")


def text(words: str) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": words, "citations": []}


def script(prompt: str) -> list[str]:
    """A call for the weather, then a sentence; otherwise a greeting, or what continues the answer."""
    if "weather" in prompt:
        return list("It is sunny." if "sunny" in prompt else f"Let me see.\n{json.dumps(WEATHER)}")
    return list(" 4." if prompt.endswith("is") else "Hello there!")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    folder: Path = tmp_path_factory.mktemp("messages")
    async with served(ScriptedEngine(script, guided=True), folder) as url:
        yield url


async def ask(url: str, path: str = PATHS[0], **fields: Any) -> Reply:
    body = {"model": "scripted", "max_tokens": 200, "messages": HELLO, **fields}
    return await asyncio.to_thread(post, url + path, body, x_api_key="unused", anthropic_version="2023-06-01")


@pytest.mark.parametrize("path", PATHS)
async def test_a_message_is_answered_whole_and_streamed(url: str, path: str) -> None:
    whole = (await ask(url, path)).json()
    assert whole["content"] == [text("Hello there!")]
    assert (whole["stop_reason"], whole["model"]) == ("end_turn", "scripted")
    events = events_in((await ask(url, path, stream=True)).body)
    texts = [event["delta"]["text"] for name, event in events if name == "content_block_delta"]
    assert "".join(texts) == "Hello there!"
    assert [name for name, _ in events if name != "content_block_delta"] == [
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[-2][1]["usage"] == whole["usage"]


async def test_the_tokens_of_the_prompt_are_the_same_counted_begun_and_ended(url: str) -> None:
    fields: dict[str, Any] = {"system": "Be kind.", "tools": TOOLS}
    counted = (await ask(url, "/v1/messages/count_tokens", **fields)).json()["input_tokens"]
    events = events_in((await ask(url, stream=True, **fields)).body)
    assert events[0][1]["message"]["usage"]["input_tokens"] == counted
    ended = events[-2][1]["usage"]
    assert ended["input_tokens"] + ended["cache_read_input_tokens"] == counted
    assert counted > (await ask(url, "/v1/messages/count_tokens")).json()["input_tokens"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_and_its_result_are_a_conversation(url: str, stream: bool) -> None:
    asked = [{"role": "user", "content": "The weather?"}]
    reply = await ask(url, messages=asked, tools=TOOLS, stream=stream)
    if stream:
        events = events_in(reply.body)
        blocks = [event["content_block"] for name, event in events if name == "content_block_start"]
        blocks[0]["text"] = "".join(e["delta"].get("text", "") for n, e in events if n == "content_block_delta")
        parts = [e["delta"].get("partial_json", "") for n, e in events if n == "content_block_delta"]
        blocks[1]["input"] = json.loads("".join(parts))
        stop = events[-2][1]["delta"]["stop_reason"]
    else:
        blocks, stop = reply.json()["content"], reply.json()["stop_reason"]
    assert stop == "tool_use"
    said, call = blocks
    assert said == text("Let me see.\n")
    assert (call["name"], call["input"]) == ("get_weather", WEATHER["parameters"])
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "sunny"}
    history = [*asked, {"role": "assistant", "content": blocks}, {"role": "user", "content": [result]}]
    final = (await ask(url, messages=history, tools=TOOLS)).json()
    assert final["content"] == [text("It is sunny.")]


async def test_an_answer_continues_the_last_message_of_the_assistant(url: str) -> None:
    reply = await ask(url, messages=[*HELLO, {"role": "assistant", "content": "The sum is"}])
    assert reply.json()["content"] == [text(" 4.")]


async def test_stops_and_limits_end_an_answer_and_say_so(url: str) -> None:
    stopped = (await ask(url, stop_sequences=["there"])).json()
    assert (stopped["stop_reason"], stopped["stop_sequence"]) == ("stop_sequence", "there")
    assert stopped["content"] == [text("Hello ")]
    assert (await ask(url, max_tokens=3)).json()["stop_reason"] == "max_tokens"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x"}]}]},
            "messages[0].content[0].tool_use_id",
        ),
        ({"messages": [{"role": "user", "content": "word " * 20_000}]}, "messages"),
        ({"thread": {"type": "create"}}, "thread"),
    ],
    ids=["image", "orphan", "too long", "thread"],
)
async def test_a_refusal_has_anthropics_envelope_and_names_the_field(
    url: str, fields: dict[str, Any], param: str
) -> None:
    reply = await ask(url, **fields)
    assert reply.status == 400
    body = reply.json()
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")
    assert body["error"]["details"]["param"] == param


async def test_every_error_of_the_edge_on_these_paths_has_the_envelope(url: str) -> None:
    assert (await ask(url, model="nobody")).json()["error"]["type"] == "not_found_error"
    assert (await asyncio.to_thread(get, f"{url}/anthropic/v1/nothing")).json()["error"]["type"] == "not_found_error"
    assert (await asyncio.to_thread(get, f"{url}/v1/messages")).json()["type"] == "error"


async def test_envoys_own_errors_on_these_paths_have_the_envelope(tmp_path: Path) -> None:
    async with front(ScriptedEngine(script), tmp_path) as running:
        running.edge.terminate()
        await running.edge.wait()
        for path in ("/v1/messages?beta=true", "/v1/messages/count_tokens", "/anthropic/v1/messages"):
            reply = await ask(running.url, path)
            assert reply.status == 503
            assert reply.json()["error"]["type"] == "overloaded_error"
            assert reply.headers["retry-after"] == "1"
            assert reply.headers["request-id"] == reply.headers["x-request-id"]
        assert (await ask(running.url, "/v1/chat/completions")).json().keys() == {"error"}


async def test_models_are_in_the_shape_of_who_asks(url: str) -> None:
    for path in ("/v1/models", "/anthropic/v1/models"):
        listed = (await asyncio.to_thread(get, url + path, anthropic_version="2023-06-01")).json()
        assert listed["data"][0]["type"] == "model"
        assert listed["first_id"] == listed["data"][0]["id"] == "scripted"
    one = await asyncio.to_thread(get, f"{url}/v1/models/scripted", anthropic_version="2023-06-01")
    assert one.json()["display_name"] == "scripted"
    assert (await asyncio.to_thread(get, f"{url}/v1/models")).json()["object"] == "list"
