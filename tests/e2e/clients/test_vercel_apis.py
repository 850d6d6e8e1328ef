"""Vercel's SDK over Responses, its default for OpenAI, and over Messages."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

from tests.support.clients import CLIENTS
from tests.support.npm import installed, node
from tests.support.two_tools import GREETING, QUESTION, SENTENCE, two_tools

PROGRAM = Path(__file__).with_name("vercel_apis.mjs")
PACKAGES = [
    CLIENTS["Vercel's SDK"].package,
    CLIENTS["Vercel's SDK over Responses"].package,
    CLIENTS["Vercel's SDK for Anthropic"].package,
    "zod@4.6.7",
]
EXPECTED = {
    "whole": [GREETING, "stop", True],
    "streamed": GREETING,
    "agent": [SENTENCE, 2],
    "streamedAgent": SENTENCE,
    "object": {"sum": 4},
}


async def test_texts_objects_and_an_agent_come_whole_and_streamed(tmp_path: Path) -> None:
    program = shutil.copy(PROGRAM, installed(PACKAGES))
    async with two_tools(tmp_path) as url:
        command = [node(), program, url, QUESTION]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == {"responses": EXPECTED, "messages": EXPECTED}
