"""llm-comply: what a server answers, checked against the schemas of three APIs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.support.clients import CLIENTS
from tests.support.front import served
from tests.support.scripted_engine import ScriptedEngine

# The command, but for its status, which is 1 where a check fails.
PROGRAM = """
import contextlib
from llm_comply.cli import main
with contextlib.suppress(SystemExit):
    main()
"""
CALL = {"name": "get_weather", "parameters": {"location": "San Francisco"}}
# This service has neither images nor a choice of reasoning; the program skips the latter by itself.
NOT_PASSED = {
    "openai-chat": {"Image Input": "failed", "Reasoning Summary": "skipped"},
    "open-responses": {"Image Input": "failed", "Reasoning Summary": "skipped"},
    "anthropic": {"Image Input": "failed", "Thinking Display": "skipped"},
}


def script(prompt: str) -> list[str]:
    """A call where the tool is offered, a greeting elsewhere."""
    return list(json.dumps(CALL) if "get_weather" in prompt else "Hello there, Alice!")


@pytest.mark.parametrize("api", NOT_PASSED)
async def test_every_check_passes_but_those_of_images_and_reasoning(tmp_path: Path, api: str) -> None:
    client = CLIENTS["llm-comply"]
    async with served(ScriptedEngine(script, guided=True), tmp_path) as url:
        arguments = ["--base-url", f"{url}/v1", "--api-key", "unused", "--model", "scripted", "--format", api, "--json"]
        printed = await asyncio.to_thread(client.command, "python", "-c", PROGRAM, *arguments)
    results = json.loads(printed)["results"]
    assert {each["name"]: each["status"] for each in results if each["status"] != "passed"} == NOT_PASSED[api]
