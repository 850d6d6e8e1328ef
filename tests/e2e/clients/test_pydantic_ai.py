"""pydantic-ai: typed output in its three ways, streams, an agent with a tool, and its error."""

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
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, PromptedOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

class Person(BaseModel):
    name: str
    age: int

url, name = sys.argv[1:]
model = OpenAIChatModel(name, provider=OpenAIProvider(base_url=url, api_key="unused"))
settings = {"max_tokens": 200, "temperature": 0}
"""
TYPED = (
    MODEL
    + """
async def streamed():
    async with Agent(model, model_settings=settings).run_stream("Hello!") as stream:
        text = "".join([delta async for delta in stream.stream_text(delta=True)])
        return [text, stream.usage.total_tokens]

try:
    Agent(model, model_settings={"temperature": 3}).run_sync("Hello!")
except ModelHTTPError as error:
    failure = [error.status_code, error.body["param"]]
whole = Agent(model, model_settings=settings).run_sync("Hello!")
forms = (Person, NativeOutput(Person), PromptedOutput(Person))
print(json.dumps({
    "typed": [
        Agent(model, output_type=form, model_settings=settings).run_sync("Ann is 30.").output.model_dump()
        for form in forms
    ],
    "whole": [whole.output, whole.usage.total_tokens],
    "streamed": asyncio.run(streamed()),
    "failure": failure,
}))
"""
)
TOOL = (
    MODEL
    + """
agent = Agent(model)

@agent.tool_plain
def get_weather(city: str) -> str:
    "The weather in a city."
    return "sunny in " + city

result = agent.run_sync("Weather?")
print(json.dumps([result.output, result.usage.requests, result.usage.tool_calls]))
"""
)


def test_typed_output_streams_and_errors_are_as_pydantic_ai_expects(llama_cpp: Service) -> None:
    seen = CLIENTS["pydantic-ai"].run(TYPED, llama_cpp.url + "/v1", REFERENCE_MODEL)
    assert [set(person) for person in seen["typed"]] == [{"name", "age"}] * 3
    assert seen["whole"][0]
    assert seen["whole"] == seen["streamed"]
    assert seen["failure"] == [400, "temperature"]


async def test_an_agent_calls_its_tool_and_gets_its_sentence(tmp_path: Path) -> None:
    call = json.dumps({"name": "get_weather", "parameters": {"city": "Lima"}})
    engine = ScriptedEngine(lambda prompt: list("It is sunny." if "sunny in Lima" in prompt else call), guided=True)
    async with served(engine, tmp_path) as url:
        seen = await asyncio.to_thread(CLIENTS["pydantic-ai"].run, TOOL, url + "/v1", "scripted")
    assert seen == ["It is sunny.", 2, 1]
