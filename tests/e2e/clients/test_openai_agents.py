"""openai-agents over chat completions: typed output, streams, a tool, and a handoff."""

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
from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from pydantic import BaseModel

set_tracing_disabled(True)
url, name = sys.argv[1:]
client = AsyncOpenAI(base_url=url, api_key="unused", max_retries=0)
model = OpenAIChatCompletionsModel(model=name, openai_client=client)
settings = ModelSettings(temperature=0, max_tokens=200, include_usage=True)
"""
TYPED = (
    MODEL
    + """
class Person(BaseModel):
    name: str
    age: int

async def main():
    whole = await Runner.run(Agent(name="a", model=model, model_settings=settings), "Hello!")
    stream = Runner.run_streamed(Agent(name="a", model=model, model_settings=settings), "Hello!")
    events = [event.data async for event in stream.stream_events() if event.type == "raw_response_event"]
    typed = await Runner.run(Agent(name="a", model=model, model_settings=settings, output_type=Person), "Ann is 30.")
    print(json.dumps({
        "whole": [whole.final_output, whole.context_wrapper.usage.total_tokens],
        "streamed": [
            "".join(event.delta for event in events if event.type == "response.output_text.delta"),
            stream.context_wrapper.usage.total_tokens,
        ],
        "typed": typed.final_output.model_dump(),
    }))

asyncio.run(main())
"""
)
HANDOFF = (
    MODEL
    + """
@function_tool
def get_weather(city: str) -> str:
    "The weather in a city."
    return "sunny in " + city

expert = Agent(name="expert", model=model, tools=[get_weather])
result = Runner.run_sync(Agent(name="first", model=model, handoffs=[expert]), "Weather?")
print(json.dumps([result.final_output, result.last_agent.name, [type(item).__name__ for item in result.new_items]]))
"""
)


def test_answers_are_the_same_whole_and_streamed_and_typed_on_request(llama_cpp: Service) -> None:
    seen = CLIENTS["openai-agents"].run(TYPED, llama_cpp.url + "/v1", REFERENCE_MODEL)
    assert seen["whole"][0]
    assert seen["whole"] == seen["streamed"]
    assert set(seen["typed"]) == {"name", "age"}


async def test_an_agent_hands_over_to_another_which_calls_its_tool(tmp_path: Path) -> None:
    call = {"name": "get_weather", "parameters": {"city": "Lima"}}

    def script(prompt: str) -> list[str]:
        if "sunny in Lima" in prompt:
            return list("It is sunny.")
        return list(json.dumps(call if '"assistant"' in prompt else {"name": "transfer_to_expert", "parameters": {}}))

    async with served(ScriptedEngine(script, guided=True), tmp_path) as url:
        seen = await asyncio.to_thread(CLIENTS["openai-agents"].run, HANDOFF, url + "/v1", "scripted")
    assert seen[:2] == ["It is sunny.", "expert"]
    assert seen[2] == [
        *("HandoffCallItem", "HandoffOutputItem", "ToolCallItem", "ToolCallOutputItem", "MessageOutputItem"),
    ]
