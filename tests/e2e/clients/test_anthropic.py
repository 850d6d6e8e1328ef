"""Anthropic's own clients, for Python and Node.js."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

from tests.support.clients import CLIENTS
from tests.support.npm import installed, node
from tests.support.two_tools import CALLS, GREETING, QUESTION, SENTENCE, TOOLS, two_tools

PROGRAM = Path(__file__).with_name("messages.mjs")
PYTHON = (
    """
import json, sys
import anthropic
from anthropic import beta_tool
from pydantic import BaseModel

class Answer(BaseModel):
    sum: int
"""
    + TOOLS
    + """
url, question = sys.argv[1:]
client = anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0)
hello = {"model": "scripted", "max_tokens": 200, "messages": [{"role": "user", "content": "Hello!"}]}
asked = {**hello, "messages": [{"role": "user", "content": question}]}
tools = [{"name": name, "input_schema": {"type": "object", "properties": {}}} for name in ("get_weather", "get_time")]
whole = client.messages.create(**hello)
with client.messages.stream(**hello) as stream:
    streamed = "".join(stream.text_stream)
    begun = stream.current_message_snapshot.usage
with client.messages.stream(**asked, tools=tools) as stream:
    called = stream.get_final_message()
*_, last = client.beta.messages.tool_runner(**asked, tools=[beta_tool(get_weather), beta_tool(get_time)])
summed = [{"role": "user", "content": "Add 2 and 2."}]
parsed = client.messages.parse(**{**hello, "messages": summed}, output_format=Answer)
try:
    client.messages.create(**{**hello, "messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]})
except anthropic.BadRequestError as error:
    refused = [error.status_code, error.body["error"]["type"], error.body["error"]["details"]["param"]]
counted = client.messages.count_tokens(model="scripted", messages=hello["messages"]).input_tokens
print(json.dumps({
    "whole": whole.content[0].text,
    "streamed": streamed,
    "calls": [{"name": block.name, "parameters": block.input} for block in called.content],
    "stop": called.stop_reason,
    "run": last.content[0].text,
    "sum": parsed.parsed_output.sum,
    "models": [model.id for model in client.models.list()],
    "counted": counted == whole.usage.input_tokens == begun.input_tokens,
    "refused": refused,
}))
"""
)
EXPECTED = {
    "whole": GREETING,
    "streamed": GREETING,
    "calls": CALLS,
    "stop": "tool_use",
    "models": ["scripted"],
    "counted": True,
    "refused": [400, "invalid_request_error", "messages[0].content[0]"],
}


async def test_python_creates_streams_calls_parses_counts_and_lists(tmp_path: Path) -> None:
    async with two_tools(tmp_path) as url:
        seen = await asyncio.to_thread(CLIENTS["anthropic"].run, PYTHON, url, QUESTION)
    assert seen == EXPECTED | {"run": SENTENCE, "sum": 4}


async def test_node_creates_streams_calls_counts_and_lists(tmp_path: Path) -> None:
    program = shutil.copy(PROGRAM, installed([CLIENTS["anthropic for Node"].package]))
    async with two_tools(tmp_path) as url:
        command = [node(), program, f"{url}/anthropic", QUESTION]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == EXPECTED
