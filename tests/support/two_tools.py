"""A task for agents: two tools, which a script calls at once, and the sentence that follows their results."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from click.testing import CliRunner

from services.cli import main as chasqui
from tests.support.front import front, served
from tests.support.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CALLS = [
    {"name": "get_weather", "parameters": {"city": "São Paulo"}},
    {"name": "get_time", "parameters": {"zone": "UTC"}},
]
QUESTION = "Weather and time?"
RESULTS = ("sunny in São Paulo", "noon in UTC")
SENTENCE = "Sunny, and it is noon."
GREETING = "Hello there!"
# What the agents of these tests offer, as Python.
TOOLS = '''
def get_weather(city: str) -> str:
    """The weather in a city.

    Args:
        city: Its name.
    """
    return "sunny in " + city

def get_time(zone: str) -> str:
    """The time in a zone.

    Args:
        zone: Its name.
    """
    return "noon in " + zone
'''
SUM = '{"sum": 4}'


def script(prompt: str) -> list[str]:
    """Both calls, then the sentence; JSON for a sum; a greeting for anything else."""
    if all(result in prompt for result in RESULTS):
        return list(SENTENCE)
    if QUESTION in prompt:
        return list("; ".join(map(json.dumps, CALLS)))
    return list(SUM if "2 and 2" in prompt else GREETING)


@asynccontextmanager
async def stored_two_tools(directory: Path) -> AsyncIterator[tuple[str, str]]:
    """Serve the script where responses are stored; yields the base URL and a key."""
    place = str(directory / "accounts.db")
    made = CliRunner().invoke(chasqui, ["keys", "create", "client"], env={"CHASQUI_ACCOUNTS": place})
    engine = ScriptedEngine(script, guided=True, context_length=65_536)
    async with front(engine, directory, accounts=place, response_days=1.0) as running:
        yield running.url, made.stdout.strip()


@asynccontextmanager
async def two_tools(directory: Path) -> AsyncIterator[str]:
    """Serve the script; yields the base URL, without an end slash."""
    async with served(ScriptedEngine(script, guided=True, context_length=65_536), directory) as url:
        yield url
