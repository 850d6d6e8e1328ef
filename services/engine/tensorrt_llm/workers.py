"""Finds and kills TensorRT-LLM's worker processes, so that none keeps a GPU when a shutdown hangs. Linux only."""

from __future__ import annotations

import logging
import os
import signal
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

_PROC = Path("/proc")


class Workers:
    """The descendants of this process that began between construction and `find`: others are not the package's.

    They are kept by process id and start time, because ids are reused.
    """

    def __init__(self) -> None:
        self._earlier = _descendants()
        self._found: dict[int, str] = {}

    def find(self) -> None:
        """Record the descendants that are running now."""
        self._found = dict(_descendants().items() - self._earlier.items())

    def kill(self) -> None:
        """Kill the recorded processes that are still running."""
        for pid, start in self._found.items():
            stat = _parent_and_start(pid)
            if stat is not None and stat[1] == start:
                log.warning("killing worker process %d", pid)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _descendants() -> dict[int, str]:
    """The start times of this process's descendants by their ids."""
    parents = {pid: stat[0] for pid in _processes() if (stat := _parent_and_start(pid)) is not None}
    family = {os.getpid()}
    while True:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        if not more:
            break
        family |= more
    family.discard(os.getpid())
    return {pid: stat[1] for pid in family if (stat := _parent_and_start(pid)) is not None}


def _processes() -> list[int]:
    return [int(entry.name) for entry in _PROC.glob("[0-9]*")] if _PROC.is_dir() else []


def _parent_and_start(pid: int) -> tuple[int, str] | None:
    """Fields 4 and 22 of /proc/PID/stat; the command name before them may contain spaces and parentheses."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), fields[19]
