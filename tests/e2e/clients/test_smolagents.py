"""smolagents: an agent that must call a tool in every step."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.support.clients import CLIENTS
from tests.support.front import served
from tests.support.scripted_engine import ScriptedEngine

PROGRAM = """
import json, sys
from smolagents import OpenAIServerModel, ToolCallingAgent, tool

@tool
def get_weather(city: str) -> str:
    '''The weather in a city.

    Args:
        city: The city.
    '''
    return "sunny in " + city

url, streamed = sys.argv[1:]
model = OpenAIServerModel(model_id="scripted", api_base=url, api_key="unused", client_kwargs={"max_retries": 0})
agent = ToolCallingAgent(tools=[get_weather], model=model, verbosity_level=0, stream_outputs=streamed == "streamed")
answer = agent.run("Weather?")
errors = [str(step.error) for step in agent.memory.steps if getattr(step, "error", None)]
print()
print(json.dumps([answer, errors, [call.name for step in agent.memory.steps[1:] for call in step.tool_calls]]))
"""


@pytest.mark.parametrize("way", ["whole", "streamed"])
async def test_an_agent_calls_its_tool_and_answers(tmp_path: Path, way: str) -> None:
    call = {"name": "get_weather", "parameters": {"city": "Lima"}}
    answer = {"name": "final_answer", "parameters": {"answer": "It is sunny."}}
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)  # it reads the source of its tools
    # Its calls are forced: the script is what a grammar would allow.
    engine = ScriptedEngine(lambda prompt: list(json.dumps(answer if "sunny in Lima" in prompt else call)), guided=True)
    async with served(engine, tmp_path) as url:
        printed = await asyncio.to_thread(CLIENTS["smolagents"].command, "python", str(program), url + "/v1", way)
    assert json.loads(printed.splitlines()[-1]) == ["It is sunny.", [], ["get_weather", "final_answer"]]
