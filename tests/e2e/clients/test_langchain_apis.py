"""LangChain over Responses and Messages: an agent with two tools."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.clients import CLIENTS, Client
from tests.support.two_tools import QUESTION, RESULTS, SENTENCE, TOOLS, two_tools

AGENT = (
    """
import json, sys
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
"""
    + TOOLS
    + """
url, api, streaming, question = sys.argv[1:]
shared = {"model": "scripted", "api_key": "unused", "max_retries": 0, "streaming": bool(streaming)}
if api == "responses":
    model = ChatOpenAI(base_url=url + "/v1", use_responses_api=True, **shared)
else:
    model = ChatAnthropic(base_url=url, max_tokens=200, **shared)
agent = create_agent(model, [tool(get_weather), tool(get_time)])
result = agent.invoke({"messages": [("user", question)]})
print(json.dumps([[message.type, message.text] for message in result["messages"]]))
"""
)


@pytest.mark.parametrize("streaming", ["", "yes"], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("client", "api"),
    [(CLIENTS["LangChain over Responses"], "responses"), (CLIENTS["LangChain for Anthropic"], "messages")],
    ids=["responses", "messages"],
)
async def test_an_agent_calls_two_tools_and_gets_its_sentence(
    tmp_path: Path, client: Client, api: str, streaming: str
) -> None:
    async with two_tools(tmp_path) as url:
        seen = await asyncio.to_thread(client.run, AGENT, url, api, streaming, QUESTION)
    assert seen == [["human", QUESTION], ["ai", ""], *(["tool", result] for result in RESULTS), ["ai", SENTENCE]]
