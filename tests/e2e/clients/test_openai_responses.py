"""OpenAI's own clients over Responses, for Python and Node.js."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

from tests.support.clients import CLIENTS
from tests.support.npm import installed, node
from tests.support.two_tools import CALLS, GREETING, QUESTION, RESULTS, SENTENCE, stored_two_tools, two_tools

PROGRAM = Path(__file__).with_name("responses.mjs")
STORED_PROGRAM = Path(__file__).with_name("stored_responses.mjs")
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


STORED_PYTHON = """
import json, sys
import openai

url, key, question, *results = sys.argv[1:]
responses = openai.OpenAI(base_url=url, api_key=key, max_retries=0).responses
tools = [
    {"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}, "strict": False}
    for name in ("get_weather", "get_time")
]
called = responses.create(model="scripted", input=question, tools=tools)
outputs = [
    {"type": "function_call_output", "call_id": call.call_id, "output": result}
    for call, result in zip(called.output, results)
]
with responses.stream(
    model="scripted", input=outputs, tools=tools, previous_response_id=called.id
) as stream:
    answered = stream.get_final_response()
found = responses.retrieve(answered.id)
items = [item.type for item in responses.input_items.list(answered.id, limit=2, order="asc")]

def refused(call, *ids):
    try:
        call(*ids)
    except openai.APIStatusError as error:
        return error.status_code

cancelled = refused(responses.cancel, answered.id)
responses.delete(answered.id)
print(json.dumps({
    "answer": found.output_text,
    "previous": found.previous_response_id == called.id,
    "items": items,
    "cancelled": cancelled,
    "deleted": refused(responses.retrieve, answered.id),
}))
"""
STORED = {
    "answer": SENTENCE,
    "previous": True,
    "items": ["message", *["function_call"] * 2, *["function_call_output"] * 2],
    "cancelled": 400,
    "deleted": 404,
}


async def test_python_continues_lists_and_deletes_what_is_stored(tmp_path: Path) -> None:
    async with stored_two_tools(tmp_path) as (url, key):
        client = CLIENTS["openai over Responses"]
        assert await asyncio.to_thread(client.run, STORED_PYTHON, f"{url}/v1", key, QUESTION, *RESULTS) == STORED


async def test_node_continues_lists_and_deletes_what_is_stored(tmp_path: Path) -> None:
    program = shutil.copy(STORED_PROGRAM, installed(PACKAGES))
    async with stored_two_tools(tmp_path) as (url, key):
        command = [node(), program, f"{url}/v1", key, QUESTION, *RESULTS]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == STORED


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
