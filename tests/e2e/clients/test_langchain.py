"""LangChain: chats, an agent with two tools, and LangChain's own standard suite for chat models."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.clients import CLIENTS
from tests.support.front import served
from tests.support.scripted_engine import ScriptedEngine
from tests.support.service import Service

LANGCHAIN = CLIENTS["LangChain"]
STANDARD_SUITE = CLIENTS["LangChain's standard suite"]
CHAT = """
import json, sys
from langchain_openai import ChatOpenAI
model = ChatOpenAI(base_url=sys.argv[1], api_key="unused", model=sys.argv[2], max_tokens=10, max_retries=0)
whole = model.invoke("Hello!")
entries = model.bind(logprobs=True).invoke("Hello!").response_metadata["logprobs"]["content"]
print(json.dumps({
    "whole": whole.content,
    "tokens": whole.usage_metadata["output_tokens"],
    "streamed": "".join(chunk.content for chunk in model.stream("Hello!")),
    "spelled": "".join(entry["token"] for entry in entries),
}))
"""
AGENT = """
import json, sys
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

@tool
def get_weather(city: str) -> str:
    "The weather in a city."
    return "sunny in " + city

@tool
def get_time(zone: str) -> str:
    "The time in a zone."
    return "noon in " + zone

model = ChatOpenAI(base_url=sys.argv[1], api_key="unused", model="scripted", max_retries=0, streaming=len(sys.argv) > 2)
agent = create_agent(model, [get_weather, get_time])
result = agent.invoke({"messages": [("user", "Weather and time?")]})
print(json.dumps([[message.type, message.content] for message in result["messages"]]))
"""

SUITE = Path(__file__).with_name("langchain_standard.py")


def test_langchain_chats_streams_and_reads_log_probabilities(simulated: Service) -> None:
    seen = LANGCHAIN.run(CHAT, simulated.url + "/v1", REFERENCE_MODEL)
    assert seen["whole"]
    assert seen["whole"] == seen["streamed"] == seen["spelled"]
    assert seen["tokens"] == 10


@pytest.mark.parametrize("switches", [[], ["stream"]], ids=["whole", "streamed"])
async def test_an_agent_of_langchain_calls_two_tools_and_gets_its_sentence(tmp_path: Path, switches: list[str]) -> None:
    calls = [
        {"name": "get_weather", "parameters": {"city": "São Paulo"}},
        {"name": "get_time", "parameters": {"zone": "UTC"}},
    ]

    def script(prompt: str) -> list[str]:
        done = "sunny in São Paulo" in prompt and "noon in UTC" in prompt
        return list("Sunny, and it is noon." if done else "; ".join(map(json.dumps, calls)))

    async with served(ScriptedEngine(script), tmp_path) as url:
        seen = await asyncio.to_thread(LANGCHAIN.run, AGENT, url + "/v1", *switches)
    assert seen == [
        ["human", "Weather and time?"],
        ["ai", ""],
        ["tool", "sunny in São Paulo"],
        ["tool", "noon in UTC"],
        ["ai", "Sunny, and it is noon."],
    ]


def test_langchains_standard_suite_passes(llama_cpp: Service) -> None:
    switches = (
        "-o",
        "asyncio_mode=auto",
        "-o",
        "asyncio_default_test_loop_scope=session",
        "-p",
        "no:cacheprovider",
        "--noconftest",
    )
    printed = STANDARD_SUITE.command(
        "pytest", str(SUITE), "--rootdir", str(SUITE.parent), "-c", "/dev/null", *switches, CHASQUI_URL=llama_cpp.url
    )
    found = re.search(r"(\d+) passed, (\d+) skipped, (\d+) xfailed", printed)
    assert found is not None, printed
    passed, *others = map(int, found.groups())
    assert STANDARD_SUITE.passed == f"{passed} of {passed + sum(others)}"
