"""openai-agents over Responses, its default: an agent with two tools."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.clients import CLIENTS
from tests.support.two_tools import GREETING, QUESTION, SENTENCE, TOOLS, stored_two_tools, two_tools

IMPORTS = (
    """
import asyncio, json, sys
from agents import Agent, Runner, function_tool, set_default_openai_client, set_tracing_disabled
from openai import AsyncOpenAI
"""
    + TOOLS
)
AGENT = (
    IMPORTS
    + """
set_tracing_disabled(True)
url, question = sys.argv[1:]

async def main():
    set_default_openai_client(AsyncOpenAI(base_url=url, api_key="unused", max_retries=0))
    agent = Agent(name="a", model="scripted", tools=[function_tool(get_weather), function_tool(get_time)])
    whole = await Runner.run(agent, question)
    stream = Runner.run_streamed(agent, question)
    async for _ in stream.stream_events():
        pass
    print(json.dumps([[run.final_output, [type(item).__name__ for item in run.new_items]] for run in (whole, stream)]))

asyncio.run(main())
"""
)


async def test_an_agent_calls_two_tools_whole_and_streamed(tmp_path: Path) -> None:
    async with two_tools(tmp_path) as url:
        client = CLIENTS["openai-agents over Responses"]
        seen = await asyncio.to_thread(client.run, AGENT, f"{url}/v1", QUESTION)
    items = ["ToolCallItem"] * 2 + ["ToolCallOutputItem"] * 2 + ["MessageOutputItem"]
    assert seen == [[SENTENCE, items]] * 2


# The service keeps the conversation: every call sends what is new, and the id of the last response.
KEPT = (
    IMPORTS
    + """
set_tracing_disabled(True)
url, key, question = sys.argv[1:]

async def main():
    client = AsyncOpenAI(base_url=url, api_key=key, max_retries=0)
    set_default_openai_client(client)
    agent = Agent(name="a", model="scripted", tools=[function_tool(get_weather), function_tool(get_time)])
    first = await Runner.run(agent, "Hello!", auto_previous_response_id=True)
    second = await Runner.run(agent, question, previous_response_id=first.last_response_id)
    stream = Runner.run_streamed(agent, question, auto_previous_response_id=True)
    async for _ in stream.stream_events():
        pass
    items = [item.type async for item in await client.responses.input_items.list(second.last_response_id, order="asc")]
    sent = [item.type async for item in await client.responses.input_items.list(stream.last_response_id, order="asc")]
    print(json.dumps([[run.final_output for run in (first, second, stream)], items, sent]))

asyncio.run(main())
"""
)


async def test_an_agent_goes_on_with_what_the_service_keeps(tmp_path: Path) -> None:
    async with stored_two_tools(tmp_path) as (url, key):
        client = CLIENTS["openai-agents over Responses"]
        answers, items, sent = await asyncio.to_thread(client.run, KEPT, f"{url}/v1", key, QUESTION)
    assert answers == [GREETING, SENTENCE, SENTENCE]
    task = ["message", *["function_call"] * 2, *["function_call_output"] * 2]
    assert items == ["message"] * 2 + task
    assert sent == task
