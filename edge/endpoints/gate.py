"""What precedes the translation of a body: the caller's key is checked, and large bodies are decoded off the loop."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeVar

from edge.http.body import discard_body, read_json_body
from edge.http.call_options import CallOptions
from edge.upstream.upstream_error import not_connected
from services.errors import ChasquiError, DeadlineExceeded, Unavailable
from services.low_priority import low_priority_threads
from services.tasks import awaited_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from edge.upstream.client import Upstream

Result = TypeVar("Result")

_SECONDS: Final = 5.0  # an accepted key is remembered
_MOST_KEYS: Final = 1024
# About what is decoded and translated in 1 ms.
_LARGE_BYTES: Final = 32 * 1024
# Of large bodies, among them the one that is being decoded: about 2 s of work.
MAX_WAITING_BYTES: Final = 128 * 1024 * 1024


@dataclass(slots=True)
class _Check:
    """A question about a key that the chat server is asked, and how many calls wait for its end."""

    task: asyncio.Task[None]
    waiting: int = 0


class Gate:
    """Reads the bodies of callers whose key is accepted.

    The chat server decides about keys, here as for every call. What it accepts is remembered for some seconds: that
    opens the way to the decoder only, and a key that is revoked meanwhile is refused with the call.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._accepted: OrderedDict[bytes, float] = OrderedDict()  # by a hash of endpoint and key; until when
        self._checks: dict[bytes, _Check] = {}  # under way, by the same hash
        # One thread: several would take the interpreter from the event loop several times as long.
        self._thread = low_priority_threads(1, "decode", need_gil=True)
        self._waiting_bytes = 0

    async def decoded(self, request: Request, options: CallOptions, decode: Callable[[bytes], Result]) -> Result:
        """The decoded body; raises the ChasquiError or HTTPException that refuses the caller or the body.

        Raises starlette's ClientDisconnect if the caller disconnects before the end of the body.
        """
        try:
            await self._check_key(options)
        except ChasquiError:
            await discard_body(request)
            raise
        body = await read_json_body(request)
        return await self.translated(len(body), partial(decode, body))

    async def translated(self, size: int, work: Callable[[], Result]) -> Result:
        """The result of `work`, which translates `size` bytes; off the event loop when that is much."""
        if size < _LARGE_BYTES:
            return work()
        if self._waiting_bytes + size > MAX_WAITING_BYTES:
            raise Unavailable("Too many large requests wait to be decoded.", reason="OVERLOADED", retry_after=1.0)
        self._waiting_bytes += size
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting_bytes -= size

    async def _check_key(self, options: CallOptions) -> None:
        given = dict(options.given)
        asked = f"{given.get('x-endpoint', '')} {given.get('authorization', '')}"
        key = sha256(asked.encode()).digest()
        if self._accepted.get(key, 0.0) > time.monotonic():
            return
        # Many calls of one caller may begin at once; one of them asks for all.
        check = self._checks.get(key)
        if check is None:
            check = self._checks[key] = _Check(awaited_task(self._ask(key, options), "key check"))
        check.waiting += 1
        try:
            # As long as the call itself may wait: a busy server is slow, and the connection says when there is none.
            async with asyncio.timeout(options.remaining):
                await asyncio.shield(check.task)
        except TimeoutError:
            raise DeadlineExceeded("The deadline passed before the key of the call was checked.") from None
        finally:
            check.waiting -= 1
            if not check.waiting:
                del self._checks[key]
                check.task.cancel()

    async def _ask(self, key: bytes, options: CallOptions) -> None:
        """Remember the key if the chat server accepts it; raises its refusal."""
        # Without the deadline of the call that asks: others wait, too.
        untimed = CallOptions(tuple(pair for pair in options.given if pair[0] != "x-request-timeout"))
        try:
            await self._upstream.list_models(untimed)
        except Unavailable:  # of the connection: the call itself was not begun
            raise not_connected() from None
        self._accepted[key] = time.monotonic() + _SECONDS
        self._accepted.move_to_end(key)
        if len(self._accepted) > _MOST_KEYS:
            self._accepted.popitem(last=False)
