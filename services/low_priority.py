"""Threads for work that takes long and may wait: where CPUs are short, those of the event loops come first."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

# Added to the niceness of the process: beside a thread of that, one of these has a tenth of a CPU (weight 110 against
# 1,024 in Documentation/scheduler/sched-nice-design.rst of the Linux kernel), and all of one that nobody else uses.
_NICENESS: Final = 10


def low_priority_thread(name: str) -> ThreadPoolExecutor:
    """A pool of one thread that has a lower priority than the others of the process.

    One, because several would take the interpreter from the event loop several times as long.
    """
    return ThreadPoolExecutor(1, thread_name_prefix=name, initializer=_lower_priority)


def _lower_priority() -> None:
    """Lower the calling thread's priority, where threads have one of their own and the system allows it."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):  # without it, the thread works all the same
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS)
