"""LangChain, the `llm` command and schemathesis against the whole service.

They live in an environment that `make clients` builds.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.clients import CLIENTS_BIN as BIN
from tests.support.front import served
from tests.support.scripted_engine import ScriptedEngine
from tests.support.service import Service

LANGCHAIN = """
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
# Everything that is no error of ours: 503 and 504 are answers too, and the document lists them.
CHECKS = "status_code_conformance,content_type_conformance,response_schema_conformance"

pytestmark = pytest.mark.skipif(not BIN.is_dir(), reason="make clients has not been run")


def test_langchain_chats_streams_and_reads_log_probabilities(simulated: Service) -> None:
    command = [str(BIN / "python"), "-c", LANGCHAIN, simulated.url + "/v1", REFERENCE_MODEL]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr.decode()
    seen = json.loads(done.stdout)
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
        command = [str(BIN / "python"), "-c", AGENT, url + "/v1", *switches]
        done = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        printed, _ = await done.communicate()
    assert json.loads(printed) == [
        ["human", "Weather and time?"],
        ["ai", ""],
        ["tool", "sunny in São Paulo"],
        ["tool", "noon in UTC"],
        ["ai", "Sunny, and it is noon."],
    ]


def test_the_llm_command_prints_an_answer_streamed_and_whole(simulated: Service, tmp_path: Path) -> None:
    model = {"model_id": "chasqui", "model_name": REFERENCE_MODEL, "api_base": simulated.url + "/v1"}
    # JSON is YAML.
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps([model]))
    command = [str(BIN / "llm"), "prompt", "Hello!", "--model", "chasqui", "--no-log", "--option", "max_tokens", "10"]
    environment = {**os.environ, "LLM_USER_PATH": str(tmp_path)}
    printed = []
    for switches in ([], ["--no-stream"]):
        done = subprocess.run([*command, *switches], capture_output=True, timeout=120, check=False, env=environment)  # noqa: S603
        assert done.returncode == 0, done.stderr.decode()
        printed.append(done.stdout.decode().strip())
    assert printed[0]
    assert printed[0] == printed[1]


def test_no_generated_request_makes_the_service_fail(simulated: Service, tmp_path: Path) -> None:
    command = [str(BIN / "schemathesis"), "run", simulated.url + "/openapi.json", "--url", simulated.url]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", "40", "--seed", "1", "--no-color"]
    command += ["--checks", CHECKS, "--suppress-health-check", "all", "--report", "ndjson"]
    command += ["--report-ndjson-path", str(tmp_path / "events.ndjson")]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False, cwd=tmp_path)  # noqa: S603
    assert done.returncode == 0, done.stdout.decode()
    statuses = set(_statuses((tmp_path / "events.ndjson").read_text()))
    assert 200 in statuses
    assert {status for status in statuses if status >= 500} <= {503, 504}


def _statuses(events: str) -> list[int]:
    """Every `status_code` in the report."""
    found: list[int] = []

    def look(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("status_code"), int):
                found.append(value["status_code"])
            for item in value.values():
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    for line in events.splitlines():
        look(json.loads(line))
    return found
