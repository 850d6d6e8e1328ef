"""A process of the service: started, restarted when it dies or cannot be reached, and stopped for good."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.settings import PREFIX
from services.tasks import background_task
from services.up.whole_lines import copy_lines, write_to_standard_output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

log = logging.getLogger(__name__)

# Exit status of a process whose settings or model are wrong: starting it again will not help.
_REFUSED = 2
# Starts in a row that end before the process accepts connections, after which the service gives up.
_MOST_FAILED_STARTS = 5
_FIRST_DELAY = 0.2
_LONGEST_DELAY = 5.0
# A process that has run for this long was healthy, and its next delay is the first one again.
_SETTLED_SECONDS = 10.0
_POLL_SECONDS = 0.05
# How often a process that has accepted connections is tried, and how many tries in a row must be refused.
_WATCH_SECONDS = 1.0
_REFUSED_CONNECTIONS = 3
# How long the last lines of a process that has ended are waited for, if nobody reads the output.
_LAST_LINES_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1


class ChildError(Exception):
    """A process cannot be kept running; `status` is the exit status for the service.

    The message is empty if the process has printed the reason itself.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Command:
    """How a process is started. It accepts connections at `addresses`, `unix:PATH` or `HOST:PORT`, once it is ready.

    `prepare` is called before each start. `blocked` are signals that the process does not get, whoever sends them.
    What it prints is copied in whole lines if it `cuts_lines` itself.
    """

    arguments: Sequence[str]
    addresses: Sequence[str]
    prepare: Callable[[], None]
    environ: Mapping[str, str] = field(default_factory=dict)  # its `CHASQUI_*` variables
    stop_signal: signal.Signals = signal.SIGTERM
    blocked: frozenset[signal.Signals] = frozenset()
    cuts_lines: bool = False


class ChildProcess:
    """One process. It may take `drain_seconds` to end after its stop signal."""

    def __init__(self, name: str, command: Command, drain_seconds: float) -> None:
        self.name = name
        self.accepting = asyncio.Event()  # while it runs and has accepted connections
        self._command = command
        self._drain_seconds = drain_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    async def keep_running(self) -> None:
        """Run the process, again whenever it ends, until `stop`; ChildError if that makes no sense."""
        failed_starts = 0
        delay = _FIRST_DELAY
        while not self._stopping.is_set():
            began = time.monotonic()
            end = await self._run_once()
            if self._stopping.is_set():
                return
            failed_starts = 0 if self.accepting.is_set() else failed_starts + 1
            self.accepting.clear()
            if failed_starts == _MOST_FAILED_STARTS:
                raise ChildError(f"{self.name} failed to start {failed_starts} times in a row, last with {end}.", 1)
            delay = _FIRST_DELAY if time.monotonic() - began > _SETTLED_SECONDS else delay
            log.error("%s ended with %s; starting it again in %.1f s", self.name, end, delay)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            delay = min(delay * 2, _LONGEST_DELAY)

    async def stop(self) -> None:
        """Send the stop signal, SIGKILL if the process still runs after `drain_seconds`, and start it no more."""
        self._stopping.set()
        await self._end()

    def kill(self) -> None:
        """Send SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _run_once(self) -> str:
        """Start the process and wait for its end; how it ended. ChildError if its status says that it cannot run."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        try:
            self._command.prepare()
            # In a process group of its own: Ctrl-C reaches only this process, which then stops the others in order. In
            # this session: where Linux shares the CPUs among sessions (autogroup), priorities count within one alone.
            self._process = await asyncio.create_subprocess_exec(
                *self._command.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if self._command.cuts_lines else None,
                env={**inherited, **self._command.environ},
                process_group=0,
                preexec_fn=self._before_exec,
            )
        except OSError as error:
            return str(error)
        watching = background_task(self._watch(), f"watch of {self.name}")
        printing = background_task(self._print(self._process.stdout), f"output of {self.name}")
        try:
            status = await self._process.wait()
            await asyncio.wait([printing], timeout=_LAST_LINES_SECONDS)
        finally:
            watching.cancel()
            printing.cancel()
        if status == _REFUSED and not self._stopping.is_set():
            raise ChildError("", status)
        return f"exit status {status}" if status >= 0 else signal.Signals(-status).name

    async def _print(self, source: asyncio.StreamReader | None) -> None:
        if source is not None:
            await copy_lines(source, write_to_standard_output)

    def _before_exec(self) -> None:
        """In the child: have Linux kill it when this process dies without having stopped it; set up its signals."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # Or a terminal with `stty tostop` would stop it at its first log line, as it is in the background there.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._command.blocked)

    async def _watch(self) -> None:
        """Wait until the process accepts connections; end it when it no longer does: it is then started again."""
        while not all([await _connects(address) for address in self._command.addresses]):  # noqa: ASYNC110 - another process, which sends no notification
            await asyncio.sleep(_POLL_SECONDS)
        self.accepting.set()
        refused = 0
        while refused < _REFUSED_CONNECTIONS:
            await asyncio.sleep(_WATCH_SECONDS)
            if self._stopping.is_set():
                return
            lost = [address for address in self._command.addresses if await _refuses(address)]
            refused = refused + 1 if lost else 0
        log.error("%s cannot be reached at %s any more and is restarted", self.name, " and ".join(lost))
        await self._end()

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(self._command.stop_signal)
        try:
            await asyncio.wait_for(process.wait(), self._drain_seconds)
        except TimeoutError:
            log.error("%s did not end within %.0f s and is killed", self.name, self._drain_seconds)
            self.kill()
            await process.wait()


async def _connects(address: str) -> bool:
    """Whether a connection to an address is accepted."""
    with suppress(OSError):
        await _connect(address)
        return True
    return False


async def _refuses(address: str) -> bool:
    """Whether no process listens at an address. A busy process accepts connections late, but does not refuse them."""
    try:
        await _connect(address)
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except OSError:
        return False
    return False


async def _connect(address: str) -> None:
    if address.startswith("unix:"):
        _, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.close()
