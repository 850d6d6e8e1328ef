"""Threads for work that takes long and may wait: where CPUs are short, those of the event loops come first."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

# Added to the niceness of the process. On a CPU shared with a thread of niceness 0, niceness 10 gets a tenth of the
# time and niceness 5 a quarter (sched_prio_to_weight in kernel/sched/core.c of Linux); on an idle CPU both get all.
_NICENESS: Final = 10
# While a thread waits for a CPU with the GIL, the event loop waits for both.
_NICENESS_WITH_GIL: Final = 5


def low_priority_threads(count: int, name: str, *, need_gil: bool) -> ThreadPoolExecutor:
    """A pool of threads that have a lower priority than the others of the process."""
    niceness = _NICENESS_WITH_GIL if need_gil else _NICENESS
    return ThreadPoolExecutor(count, thread_name_prefix=name, initializer=_lower_priority, initargs=(niceness,))


def _lower_priority(niceness: int) -> None:
    """Lower the calling thread's priority, where threads have one of their own and the system allows it."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):  # without it, the thread works all the same
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + niceness)
