"""OpenAI's own clients over Responses, for Python and Node.js."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

from tests.support.clients import CLIENTS
from tests.support.npm import installed, node
from tests.support.two_tools import CALLS, GREETING, QUESTION, two_tools

PROGRAM = Path(__file__).with_name("responses.mjs")
PACKAGES = [CLIENTS["openai for Node over Responses"].package, "zod@4.6.7"]
PYTHON = """
import json, sys
import openai
from pydantic import BaseModel

class Answer(BaseModel):
    sum: int

url, question = sys.argv[1:]
client = openai.OpenAI(base_url=url, api_key="unused", max_retries=0)
tools = [
    {"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}, "strict": False}
    for name in ("get_weather", "get_time")
]
whole = client.responses.create(model="scripted", input="Hello!")
with client.responses.stream(model="scripted", input=question, tools=tools) as stream:
    for event in stream:
        pass
    called = stream.get_final_response()
parsed = client.responses.parse(model="scripted", input="Add 2 and 2.", text_format=Answer)
try:
    client.responses.create(model="scripted", input="Hello!", previous_response_id="resp_1")
except openai.BadRequestError as error:
    refused = [error.status_code, error.code, error.param]
print(json.dumps({
    "whole": whole.output_text,
    "calls": [{"name": call.name, "parameters": json.loads(call.arguments)} for call in called.output],
    "sum": parsed.output_parsed.sum,
    "refused": refused,
}))
"""
EXPECTED = {
    "whole": GREETING,
    "calls": CALLS,
    "sum": 4,
    "refused": [400, "unsupported_parameter", "previous_response_id"],
}


async def test_python_creates_streams_and_parses(tmp_path: Path) -> None:
    async with two_tools(tmp_path) as url:
        client = CLIENTS["openai over Responses"]
        assert await asyncio.to_thread(client.run, PYTHON, f"{url}/v1", QUESTION) == EXPECTED


async def test_node_creates_streams_and_parses(tmp_path: Path) -> None:
    program = shutil.copy(PROGRAM, installed(PACKAGES))
    async with two_tools(tmp_path) as url:
        command = [node(), program, f"{url}/v1", QUESTION]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == EXPECTED
