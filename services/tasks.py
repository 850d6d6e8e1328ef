"""Starts tasks, each with a name, so that the end of each is seen."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

Result = TypeVar("Result")

log = logging.getLogger(__name__)


def background_task(work: Coroutine[Any, Any, Result], name: str) -> asyncio.Task[Result]:
    """Run `work` beside its caller, who keeps the task and does not await it: its failure is logged."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    task.add_done_callback(_log_failure)
    return task


def awaited_task(work: Coroutine[Any, Any, Result], name: str) -> asyncio.Task[Result]:
    """Run `work` beside its caller, who awaits the task and gets its failure."""
    return asyncio.get_running_loop().create_task(work, name=name)


def _log_failure(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("the task %s has failed", task.get_name(), exc_info=task.exception())
