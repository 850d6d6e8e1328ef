"""Claude Code, from npm, in print mode: an answer, and a task that takes a command."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients import CLIENTS
from tests.support.front import served
from tests.support.npm import installed, node
from tests.support.scripted_engine import ScriptedEngine

# Models are named with a slash, as the reference service's are.
MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
CALL = {"name": "Bash", "parameters": {"command": "echo $((6 * 7)) runners", "description": "Count"}}


def script(prompt: str) -> list[str]:
    """The command if it is asked for, then a sentence; otherwise a greeting."""
    if "How many runners" not in prompt:
        return list("Hello there!")
    return list("There are 42." if "42 runners" in prompt else json.dumps(CALL))


@pytest.mark.parametrize(
    ("words", "answer", "turns"),
    [("Greet me.", "Hello there!", 1), ("How many runners are there?", "There are 42.", 2)],
    ids=["an answer", "a command"],
)
async def test_claude_code_prints_the_answer(tmp_path: Path, words: str, answer: str, turns: int) -> None:
    package = installed([CLIENTS["Claude Code"].package]) / "node_modules" / "@anthropic-ai" / "claude-code"
    home, sockets = tmp_path / "h", tmp_path / "s"
    for folder in (home, sockets):
        folder.mkdir()
    command = [node(), str(package / "cli-wrapper.cjs"), "--print", words, "--output-format", "json"]
    command += ["--allowedTools", "Bash"]
    async with served(ScriptedEngine(script, context_length=131_072), sockets) as url:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "CLAUDE"))},
            "HOME": str(home),
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": "unused",
            "ANTHROPIC_MODEL": MODEL,
            "ANTHROPIC_SMALL_FAST_MODEL": MODEL,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=180,
            check=False,
            cwd=home,
            env=environment,
        )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    seen: dict[str, Any] = json.loads(done.stdout)
    assert (seen["result"], seen["num_turns"], seen["is_error"]) == (answer, turns, False)
    assert seen["usage"]["input_tokens"] + seen["usage"]["cache_read_input_tokens"] > 5_000
