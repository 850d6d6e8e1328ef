"""Drives an ASGI application as a server does: one request, its answer observed message by message."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import ASGIApp, Message, Scope


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


class Exchange:
    """One request and its answer. The request's body is sent in the parts given; `target` is percent-encoded.

    A number among the parts is a pause of so many seconds. With a `gate` each message of the application waits there
    before it is seen. `late` has those that were sent when the application had ended. `watched` is whether the
    application still waited for a disconnect when it sent the end of its answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Sequence[bytes | float] = (b"",),
        gate: GatedSend | None = None,
    ) -> None:
        path, _, query = target.partition("?")
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "2",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
            "client": ("127.0.0.1", 40000),
            "server": ("127.0.0.1", 8080),
        }
        self.parts_left = list(body)
        self.late: list[Message] = []
        self.watched: bool | None = None
        self._gate = gate
        self._hung_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sent: asyncio.Queue[Message | None] = asyncio.Queue()
        self._task = asyncio.ensure_future(self._run(app, scope))

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._send)
        finally:
            self._sent.put_nowait(None)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.watched = not self._hung_up.cancelled()
        if self._gate is not None:
            await self._gate(message)
        if self._task.done():
            self.late.append(message)
        else:
            self._sent.put_nowait(message)

    async def _receive(self) -> Message:
        if self.parts_left:
            part = self.parts_left.pop(0)
            if isinstance(part, float):
                await asyncio.sleep(part)
                part = b""
            return {"type": "http.request", "body": part, "more_body": bool(self.parts_left)}
        await self._hung_up
        return {"type": "http.disconnect"}

    def hang_up(self) -> None:
        """Let the application see that the caller has gone."""
        if not self._hung_up.done():
            self._hung_up.set_result(None)

    def cancel(self) -> None:
        """Cancel the application, as a server that stops does."""
        self._task.cancel()

    async def next(self) -> Message | None:
        """The application's next message, or None when it has ended; raises what it raised."""
        message = await self._sent.get()
        if message is None:
            await self._task
        return message

    async def answer(self) -> Answer:
        """The whole answer, once the application has ended; raises what it raised."""
        start = await self.next()
        if start is None:
            raise EOFError("The application ended without an answer.")
        body = b""
        more = True
        while (message := await self.next()) is not None:
            if not more:
                raise ValueError("The application went on after the end of the body.")
            body += message["body"]
            more = message.get("more_body", False)
        if more:
            raise EOFError("The application ended in the middle of the body.")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(start["status"], headers, body)

    async def end(self) -> None:
        """Wait until the application has ended; raises what it raised."""
        await self._task


class GatedSend:
    """A `send` whose writes begin at once and end only while the gate is open; it is open at first."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.most_at_once = 0
        self.begun = asyncio.Event()
        self._running = 0
        self._gate = asyncio.Event()
        self._gate.set()

    async def __call__(self, message: Message) -> None:
        """Send."""
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        self.begun.set()
        try:
            await self._gate.wait()
        finally:
            self._running -= 1
        self.sent.append(message)

    def shut(self) -> None:
        """Hold the writes that begin from now on; `begun` waits for the next one."""
        self._gate.clear()
        self.begun.clear()

    def open(self) -> None:
        """Let all writes end."""
        self._gate.set()

    def body(self) -> bytes:
        """All bytes of the body whose writes have ended."""
        return b"".join(message["body"] for message in self.sent if message["type"] == "http.response.body")
