"""What start-up shows on the terminal: the page's address, the process that is awaited, and an example."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.console import Console

from services.up.notification import notify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.settings import Settings
    from services.up.child_process import ChildProcess

# Through Envoy, where each request is a span and a log line.
_PUBLIC_POLL_SECONDS = 0.1


class _Console(Console):
    """Shows what can be shown: a full disk or a closed pipe behind standard error stops nothing."""

    def show(self, text: str, *, markup: bool) -> None:
        with suppress(OSError):
            self.print(text, markup=markup, highlight=False, soft_wrap=True)

    def on_broken_pipe(self) -> None:
        """Go on; rich would end the process."""


async def announce(settings: Settings, front: Sequence[ChildProcess], server: ChildProcess) -> None:
    """Print the page's address once `front`, edge workers and Envoy, listens: it shows how the model loads.

    Then wait for the chat server and for the first request that gets through, and print an example call.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared
    scheme = "https" if settings.tls_certificate else "http"
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.port}"
    console = _Console(stderr=True)
    with console.status("starting") as status:
        for process in (*front, server):
            status.update(f"waiting for {process.name}")
            await process.accepting.wait()
            console.show(f"[green]✓[/green] {process.name}", markup=True)
            if settings.page and process is front[-1]:
                console.show(f"  open {url}", markup=False)
        status.update("waiting until requests get through")
        while not await _ready(host, settings.port, tls=bool(settings.tls_certificate)):  # noqa: ASYNC110 - another process
            await asyncio.sleep(_PUBLIC_POLL_SECONDS)
    notify("READY=1")
    console.show(_banner(settings, url), markup=False)


def _banner(settings: Settings, url: str) -> str:
    shown = settings.model or "chasqui-demo, a small demonstration model: not the real Llama"
    model = settings.model_aliases[0] if settings.model_aliases else "chasqui-demo"
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'
    keyed = settings.api_keys or settings.accounts
    key = " -H 'Authorization: Bearer KEY'" if keyed else ""
    lines = [
        f"\nChasqui serves {shown}",
        f"  page  {url}" if settings.page else "",
        f"  REST  {url}/v1        gRPC  {url.partition('://')[2]}",
        "" if keyed else "  CHASQUI_API_KEYS is not set: everyone who reaches the port is let in",
        "",
        f"curl {url}/v1/chat/completions -H 'Content-Type: application/json'{key} \\\n  -d '{body}'\n",
    ]
    return "\n".join(line for index, line in enumerate(lines) if line or index > 3)


async def _ready(host: str, port: int, *, tls: bool) -> bool:
    """Whether `/readyz` answers 200 through Envoy."""
    context = None
    if tls:
        # This is our own port, and the certificate is for the name that callers use.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError):
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            writer.write(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            return b" 200 " in await reader.readline()
        finally:
            writer.close()
    return False
