"""Threads that are to leave the CPUs to others, where the system has priorities of threads."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from services.low_priority import low_priority_threads

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a niceness for each thread")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.parametrize(("need_gil", "lower"), [(True, 5), (False, 10)])
def test_a_thread_has_a_lower_priority_than_its_process_and_a_little_if_others_wait_for_it(
    need_gil: bool, lower: int
) -> None:
    with low_priority_threads(1, "work", need_gil=need_gil) as pool:
        before = niceness()
        assert pool.submit(niceness).result() == min(before + lower, 19)
        assert niceness() == before


def test_a_thread_that_may_not_lower_its_priority_works_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", forbidden)
    with low_priority_threads(1, "work", need_gil=True) as pool:
        assert pool.submit(lambda: "done").result() == "done"
