"""Runs a test's function in a new process, for what a process can do only once."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def run_in_own_process(function: Callable[..., Coroutine[Any, Any, None]], *args: object) -> None:
    """Await a function of a module. Raises what it raises, or BrokenProcessPool if the process dies."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        pool.submit(_run, function, *args).result()


def _run(function: Callable[..., Coroutine[Any, Any, None]], *args: object) -> None:
    asyncio.run(function(*args))
