"""Every task of the service has a name, and its end is seen."""

from __future__ import annotations

import ast
import asyncio
import logging
from pathlib import Path

import pytest

from services.tasks import awaited_task, background_task

ROOT = Path(__file__).parents[2]
STARTERS = {"create_task", "ensure_future"}
# A group of tasks raises their failures.
GROUP = "tasks"


def logged(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "services.tasks"]


async def fail() -> None:
    raise LookupError("nobody is here")


async def test_the_failure_of_a_background_task_is_logged_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    task = background_task(fail(), "search")
    await asyncio.wait([task])
    (record,) = logged(caplog)
    assert (record.levelname, record.getMessage()) == ("ERROR", "the task search has failed")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)


async def test_the_end_and_the_cancellation_of_a_background_task_are_not(caplog: pytest.LogCaptureFixture) -> None:
    tasks = [background_task(asyncio.sleep(0), "short"), background_task(asyncio.sleep(60), "long")]
    await tasks[0]
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert logged(caplog) == []


async def test_the_failure_of_an_awaited_task_is_for_whoever_awaits_it(caplog: pytest.LogCaptureFixture) -> None:
    task = awaited_task(fail(), "search")
    with pytest.raises(LookupError):
        await task
    assert (logged(caplog), task.get_name()) == ([], "search")


def starts(file: Path) -> list[str]:
    """Where a file starts tasks by itself."""
    return [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in STARTERS
        and not (isinstance(node.value, ast.Name) and node.value.id == GROUP)
    ]


def test_tasks_are_started_in_one_place_or_in_a_group() -> None:
    files = [file for folder in ("services", "edge") for file in (ROOT / folder).rglob("*.py")]
    found = [place for file in files for place in starts(file)]
    assert {place.split(":")[0] for place in found} == {"services/tasks.py"}, found
