"""openai-agents over Responses, its default: an agent with two tools."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.clients import CLIENTS
from tests.support.two_tools import QUESTION, SENTENCE, TOOLS, two_tools

AGENT = (
    """
import asyncio, json, sys
from agents import Agent, Runner, function_tool, set_default_openai_client, set_tracing_disabled
from openai import AsyncOpenAI
"""
    + TOOLS
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
