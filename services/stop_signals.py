"""The signals at which a process drains and ends."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def on_stop_signal(stop: Callable[[], object]) -> None:
    """Have the running event loop call `stop` at every SIGTERM, SIGINT and SIGHUP (the terminal has closed).

    A SIGHUP that is ignored when the process starts stays ignored: that is how nohup works.
    """
    # A parent that has blocked a signal, or ignores ended children, would pass that on.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, stop)
