"""Codex, from npm: a task that takes a shell command."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

from tests.support.clients import CLIENTS
from tests.support.front import served
from tests.support.npm import installed, node
from tests.support.scripted_engine import ScriptedEngine

CONFIGURATION = """
model = "scripted"
model_provider = "chasqui"
[model_providers.chasqui]
name = "chasqui"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "LLM_KEY"
"""
CALL = {"name": "exec_command", "parameters": {"cmd": "echo $((6 * 7)) runners"}}


def script(prompt: str) -> list[str]:
    """The command, then a sentence."""
    return list("There are 42." if "42 runners" in prompt else json.dumps(CALL))


async def test_codex_runs_a_command_and_ends_with_the_answer(tmp_path: Path) -> None:
    program = installed([CLIENTS["Codex"].package]) / "node_modules" / "@openai" / "codex" / "bin" / "codex.js"
    home, work, sockets = (tmp_path / name for name in ("h", "w", "s"))
    for folder in (home, work, sockets):
        folder.mkdir()
    command = [node(), str(program), "exec", "--skip-git-repo-check", "--json"]
    command += ["--dangerously-bypass-approvals-and-sandbox", "How many runners are there?"]
    environment = {**os.environ, "HOME": str(home), "CODEX_HOME": str(home), "LLM_KEY": "unused"}
    async with served(ScriptedEngine(script, context_length=65_536), sockets) as url:
        (home / "config.toml").write_text(CONFIGURATION.format(url=url))
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=180,
            check=False,
            cwd=work,
            env=environment,
        )
    events = [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith("{")]
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    [ran] = [item for item in items if item["type"] == "command_execution"]
    assert (ran["aggregated_output"], ran["exit_code"]) == ("42 runners\n", 0), done.stderr.decode()
    assert [item["text"] for item in items if item["type"] == "agent_message"] == ["There are 42."]
    assert events[-1]["type"] == "turn.completed"
    assert events[-1]["usage"]["input_tokens"] > 5_000
