"""Responses through the real Envoy and edge with the real `openai` client, on answers that a script gives."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.support.front import served
from tests.support.http import post
from tests.support.scripted_engine import ScriptedEngine
from tests.support.writers import events_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WEATHER = {"name": "get_weather", "parameters": {"city": "São Paulo"}}
TOOLS: list[Any] = [
    {"type": "web_search"},
    {"type": "function", "name": "get_weather", "description": "d", "parameters": {"type": "object"}, "strict": False},
]

# One service for all tests, and therefore one event loop.
pytestmark = pytest.mark.asyncio(loop_scope="module")


class Answer(BaseModel):
    sum: int


def script(prompt: str) -> list[str]:
    """A call for the weather, then a sentence; JSON for a sum; otherwise a greeting."""
    if "weather" in prompt and "sunny" not in prompt:
        return list(f"Let me see.\n{json.dumps(WEATHER)}" if "first" in prompt else json.dumps(WEATHER))
    if "sunny" in prompt:
        return list("It is sunny.")
    return list('{"sum": 4}' if "2 and 2" in prompt else "Hello there!")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    folder: Path = tmp_path_factory.mktemp("responses")
    async with served(ScriptedEngine(script, guided=True), folder) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def client(url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        yield client


async def test_a_text_is_answered_whole_and_streamed(client: AsyncOpenAI) -> None:
    whole = await client.responses.create(model="scripted", input="Hello!", instructions="Be kind.")
    assert (whole.status, whole.output_text, whole.instructions) == ("completed", "Hello there!", "Be kind.")
    async with client.responses.stream(model="scripted", input="Hello!", instructions="Be kind.") as stream:
        texts = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        streamed = await stream.get_final_response()
    assert "".join(texts) == streamed.output_text == whole.output_text
    assert streamed.usage == whole.usage
    assert whole.usage is not None
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens


@pytest.mark.parametrize("words", ["weather", "first a word, then the weather"])
async def test_a_call_and_its_output_are_a_conversation_whole_and_streamed(client: AsyncOpenAI, words: str) -> None:
    asked: list[Any] = [{"role": "user", "content": words}]
    async with client.responses.stream(model="scripted", input=asked, tools=TOOLS) as stream:
        streamed = await stream.get_final_response()
    raw = await client.responses.with_raw_response.create(model="scripted", input=asked, tools=TOOLS)
    assert raw.headers["x-ignored-parameters"] == "tools[0]"
    whole = raw.parse()
    assert [item.type for item in streamed.output] == [item.type for item in whole.output]
    assert streamed.output_text == whole.output_text
    call: Any = whole.output[-1]
    last: Any = streamed.output[-1]
    assert (last.name, last.arguments) == (call.name, call.arguments)
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "get_weather", WEATHER["parameters"])
    history: list[Any] = [*asked, *(item.model_dump() for item in whole.output)]
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    final = await client.responses.create(model="scripted", input=[*history, output], tools=TOOLS)
    assert final.output_text == "It is sunny."


async def test_the_parse_helper_of_the_client_gets_its_model(client: AsyncOpenAI) -> None:
    parsed = await client.responses.parse(model="scripted", input="Add 2 and 2.", text_format=Answer)
    assert parsed.output_parsed == Answer(sum=4)


async def test_an_answer_that_its_limit_cuts_is_incomplete(client: AsyncOpenAI) -> None:
    whole = await client.responses.create(model="scripted", input="Hello!", max_output_tokens=5)
    assert whole.status == "incomplete"
    assert whole.incomplete_details is not None
    assert whole.incomplete_details.reason == "max_output_tokens"
    stream = await client.responses.create(model="scripted", input="Hello!", max_output_tokens=5, stream=True)
    assert [event.type async for event in stream][-1] == "response.incomplete"


async def test_the_events_are_numbered_named_and_in_their_order(url: str) -> None:
    reply = await asyncio.to_thread(
        post, f"{url}/v1/openai/responses", {"model": "scripted", "input": "Hi", "stream": True}
    )
    events = events_in(reply.body)
    assert [event["sequence_number"] for _, event in events] == list(range(len(events)))
    assert [name for name, _ in events if not name.endswith(".delta")] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "input[0].call_id"),
        ({"input": "word " * 20_000}, "input"),
        ({"input": [{"type": "computer_call"}]}, "input[0].type"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"store": True}, "store"),
        ({"temperature": 9}, "temperature"),
    ],
    ids=["orphan", "too long", "unknown item", "not stored", "not to be stored", "out of range"],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_names_the_field_in_the_words_of_this_api(
    client: AsyncOpenAI, fields: dict[str, Any], param: str, stream: bool
) -> None:
    create: Any = client.responses.create
    with pytest.raises(openai.BadRequestError) as caught:
        await create(**({"model": "scripted", "input": "Hi", "stream": stream} | fields))
    assert caught.value.param == param
