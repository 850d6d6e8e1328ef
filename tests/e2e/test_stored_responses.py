"""Stored responses through the real Envoy and edge with the real `openai` client, in a real database."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
import pytest_asyncio
from click.testing import CliRunner
from openai import AsyncOpenAI

from services.cli import main
from tests.support.front import front
from tests.support.http import request
from tests.support.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CALL = {"name": "get_weather", "parameters": {"city": "Cusco"}}
TOOLS: list[Any] = [
    {"type": "function", "name": "get_weather", "description": "d", "parameters": {"type": "object"}, "strict": False}
]

# One service for all tests, and therefore one event loop.
pytestmark = pytest.mark.asyncio(loop_scope="module")


def script(prompt: str) -> list[str]:
    """A call for the weather, then a sentence; otherwise what the prompt remembers."""
    if "weather" in prompt and "sunny" not in prompt:
        return list(json.dumps(CALL))
    seen = {"red": "red", "blue": "blue", "sunny": "sunny", "secretly": "hidden"}
    words = [said for word, said in seen.items() if word in prompt]
    return list(f"I know: {' '.join(words)}.")


class Clients:
    """A service that stores responses, and clients with a key each."""

    def __init__(self, url: str, keys: list[str]) -> None:
        self.url = url
        self.keys = keys
        self.ana, self.bob, self.eve = (AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) for key in keys)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clients(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clients]:
    folder: Path = tmp_path_factory.mktemp("stored")
    place = str(folder / "accounts.db")
    commands = (["ana"], ["bob"], ["eve", "--endpoints", "chat/completions"])
    keys = [
        CliRunner().invoke(main, ["keys", "create", *words], env={"CHASQUI_ACCOUNTS": place}).stdout.strip()
        for words in commands
    ]
    engine = ScriptedEngine(script)
    async with front(engine, folder, accounts=place, response_days=1.0) as running:
        clients = Clients(running.url, keys)
        yield clients
        for client in (clients.ana, clients.bob, clients.eve):
            await client.close()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_conversation_is_continued_by_the_id_of_its_last_response(clients: Clients, streamed: bool) -> None:
    async def ask(**fields: Any) -> Any:
        if not streamed:
            return await clients.ana.responses.create(model="scripted", **fields)
        async with clients.ana.responses.stream(model="scripted", **fields) as stream:
            return await stream.get_final_response()

    first = await ask(input="Remember red.", instructions="Answer secretly.")
    assert (first.output_text, first.store) == ("I know: red hidden.", True)
    second = await ask(input="And blue.", previous_response_id=first.id)
    assert (second.output_text, second.previous_response_id) == ("I know: red blue.", first.id)
    found = await clients.ana.responses.retrieve(second.id)
    assert (found.id, found.output_text, found.usage) == (second.id, second.output_text, second.usage)
    page = await clients.ana.responses.input_items.list(second.id, limit=2, order="asc")
    items: list[Any] = [item async for item in page]  # every page
    assert [(item.role, item.content[0].text) for item in items] == [
        ("user", "Remember red."),
        ("assistant", "I know: red hidden."),
        ("user", "And blue."),
    ]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_tools_output_alone_is_enough_where_the_call_is_stored(clients: Clients, streamed: bool) -> None:
    create: Any = clients.ana.responses.create
    called = await create(model="scripted", input="The weather?", tools=TOOLS)
    [call] = called.output
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    asked = {"model": "scripted", "input": [output], "tools": TOOLS, "previous_response_id": called.id}
    if streamed:
        events = [event async for event in await create(**asked, stream=True)]
        answer = events[-1].response
    else:
        answer = await create(**asked)
    assert answer.output_text == "I know: sunny."
    with pytest.raises(openai.BadRequestError) as caught:
        await create(**(asked | {"input": [output | {"call_id": "other"}]}))
    assert caught.value.param == "input[0].call_id"


async def test_a_response_is_its_keys_own_until_it_is_deleted(clients: Clients) -> None:
    made = await clients.ana.responses.create(model="scripted", input="Remember red.")
    for client, response_id in ((clients.bob, made.id), (clients.ana, "resp_none")):
        responses: Any = client.responses
        for call in (responses.retrieve, responses.delete, responses.cancel, responses.input_items.list):
            with pytest.raises(openai.NotFoundError) as caught:
                await call(response_id)
            assert caught.value.code == "not_found"
        with pytest.raises(openai.BadRequestError) as refused:
            await responses.create(model="scripted", input="Hi", previous_response_id=response_id)
        assert (refused.value.code, refused.value.param) == ("previous_response_not_found", "previous_response_id")
    with pytest.raises(openai.PermissionDeniedError):
        await clients.eve.responses.retrieve(made.id)
    with pytest.raises(openai.BadRequestError, match="background"):
        await clients.ana.responses.cancel(made.id)
    with pytest.raises(openai.BadRequestError) as streamed:
        await clients.ana.responses.retrieve(made.id, stream=True)
    assert streamed.value.param == "stream"
    later = await clients.ana.responses.create(model="scripted", input="And blue.", previous_response_id=made.id)
    await clients.ana.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        await clients.ana.responses.retrieve(made.id)
    with pytest.raises(openai.BadRequestError, match=made.id):
        await clients.ana.responses.create(model="scripted", input="Hi", previous_response_id=later.id)


async def test_a_cut_answer_can_be_read_and_continued_unless_it_is_not_stored(clients: Clients) -> None:
    cut = await clients.ana.responses.create(model="scripted", input="Remember red.", max_output_tokens=4)
    found = await clients.ana.responses.retrieve(cut.id)
    assert (found.status, found.output_text) == ("incomplete", "I kn")
    kept = await clients.ana.responses.create(model="scripted", input="Go on.", previous_response_id=cut.id)
    assert kept.output_text == "I know: red."
    unkept: Any = await clients.ana.responses.create(
        model="scripted", input="Remember red.", store=False, previous_response_id=kept.id
    )
    assert unkept.store is False
    with pytest.raises(openai.NotFoundError):
        await clients.ana.responses.retrieve(unkept.id)


async def test_a_deleted_response_is_answered_as_openai_does(clients: Clients) -> None:
    made = await clients.ana.responses.create(model="scripted", input="Hi")
    url = f"{clients.url}/v1/openai/responses/{made.id}"
    key = {"authorization": f"Bearer {clients.keys[0]}"}
    reply = await asyncio.to_thread(request, "DELETE", url, headers=key)
    assert reply.json() == {"id": made.id, "object": "response", "deleted": True}
    assert (await asyncio.to_thread(request, "GET", url, headers=key)).status == 404
