"""LlamaIndex with `OpenAILike`: chats, streams, completions, structured prediction, and an agent with a tool."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.clients import CLIENTS
from tests.support.front import served
from tests.support.scripted_engine import ScriptedEngine
from tests.support.service import Service

MODEL = """
import asyncio, json, sys
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

url, name = sys.argv[1:]
options = {"api_base": url, "api_key": "unused", "model": name, "temperature": 0, "max_tokens": 200, "max_retries": 0}
model = OpenAILike(**options, is_chat_model=True, is_function_calling_model=True, context_window=1024)
"""
CHAT = (
    MODEL
    + """
class Person(BaseModel):
    name: str
    age: int

messages = [ChatMessage(role="user", content="Hello!")]
plain = OpenAILike(**options, is_chat_model=False)
print(json.dumps({
    "whole": model.chat(messages).message.content,
    "streamed": "".join(chunk.delta or "" for chunk in model.stream_chat(messages)),
    "completion": plain.complete("Once").text,
    "structured": model.structured_predict(Person, PromptTemplate("Ann is 30.")).model_dump(),
}))
"""
)
AGENT = (
    MODEL
    + """
def get_weather(city: str) -> str:
    "The weather in a city."
    return "sunny in " + city

async def main():
    agent = FunctionAgent(tools=[get_weather], llm=model)
    result = await agent.run("Weather?")
    print(json.dumps([str(result), [call.tool_name for call in result.tool_calls]]))

asyncio.run(main())
"""
)


def test_answers_are_the_same_whole_and_streamed_and_structured_on_request(llama_cpp: Service) -> None:
    seen = CLIENTS["LlamaIndex"].run(CHAT, llama_cpp.url + "/v1", REFERENCE_MODEL)
    assert seen["whole"]
    assert seen["whole"] == seen["streamed"]
    assert seen["completion"]
    assert set(seen["structured"]) == {"name", "age"}


async def test_an_agent_calls_its_tool_and_gets_its_sentence(tmp_path: Path) -> None:
    call = json.dumps({"name": "get_weather", "parameters": {"city": "Lima"}})
    engine = ScriptedEngine(lambda prompt: list("It is sunny." if "sunny in Lima" in prompt else call))
    async with served(engine, tmp_path) as url:
        seen = await asyncio.to_thread(CLIENTS["LlamaIndex"].run, AGENT, url + "/v1", "scripted")
    assert seen == ["It is sunny.", ["get_weather"]]
