"""Threads that are to leave the CPUs to others, where the system has priorities of threads."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from services.low_priority import low_priority_thread

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a niceness for each thread")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_a_thread_has_a_lower_priority_than_its_process() -> None:
    with low_priority_thread("work") as pool:
        before = niceness()
        assert pool.submit(niceness).result() == min(before + 10, 19)
        assert niceness() == before


def test_a_thread_that_may_not_lower_its_priority_works_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", forbidden)
    with low_priority_thread("work") as pool:
        assert pool.submit(lambda: "done").result() == "done"
