"""A process of the service: started, restarted when it dies, and stopped for good."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from services.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger(__name__)

# Exit status of a process whose settings or model are wrong: starting it again will not help.
_REFUSED = 2
_FIRST_DELAY = 0.2
_LONGEST_DELAY = 5.0
# A process that has run for this long was healthy, and is restarted without delay.
_SETTLED_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1


class ChildRefusedError(Exception):
    """A process ended with the status that says it cannot run; it has printed the reason on standard error."""

    def __init__(self, name: str, status: int) -> None:
        super().__init__(f"{name} cannot run")
        self.status = status


class ChildProcess:
    """One process. `environ` holds its `CHASQUI_*` variables; it accepts connections at `address` once it is ready."""

    def __init__(self, name: str, command: Sequence[str], environ: Mapping[str, str], address: str) -> None:
        self.name = name
        self._command = command
        self._environ = environ
        self._address = address
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    async def keep_running(self) -> None:
        """Run the process, again whenever it dies, until `stop`; ChildRefusedError if it exits with status 2."""
        delay = _FIRST_DELAY
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        while True:
            began = time.monotonic()
            # In a session of its own: Ctrl-C reaches only this process, which then stops the others in order.
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env={**inherited, **self._environ},
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
            status = await self._process.wait()
            if self._stopping:
                return
            if status == _REFUSED:
                raise ChildRefusedError(self.name, status)
            delay = _FIRST_DELAY if time.monotonic() - began > _SETTLED_SECONDS else delay
            log.error("%s ended with status %s; starting it again in %.1f s", self.name, status, delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)

    async def accepts(self) -> bool:
        """Whether the process accepts connections; it listens only once it can serve."""
        with suppress(OSError):
            if self._address.startswith("unix:"):
                _, writer = await asyncio.open_unix_connection(self._address.removeprefix("unix:"))
            else:
                host, _, port = self._address.rpartition(":")
                _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            return True
        return False

    async def stop(self, limit: float) -> None:
        """Send SIGTERM, and SIGKILL if the process still runs after `limit` seconds."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), limit)
        except TimeoutError:
            log.error("%s did not end within %.0f s and is killed", self.name, limit)
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """Send SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()


def _die_with_parent() -> None:
    """In the child, before exec: have Linux kill it when this process dies without having stopped it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
