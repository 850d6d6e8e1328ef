"""What precedes the translation of a body: the caller's key is checked, and large bodies are decoded off the loop."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeVar

from edge.http.body import discard_body, read_json_body
from edge.upstream.upstream_error import not_connected
from services.errors import ChasquiError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from edge.http.call_options import CallOptions
    from edge.upstream.client import Upstream

Result = TypeVar("Result")

_SECONDS: Final = 5.0
_MOST_KEYS: Final = 1024
# About what is decoded and translated in 1 ms.
_LARGE_BYTES: Final = 32 * 1024


class Gate:
    """Reads the bodies of callers whose key is accepted.

    The chat server decides about keys, here as for every call. What it accepts is remembered for some seconds: that
    opens the way to the decoder only, and a key that is revoked meanwhile is refused with the call.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._accepted: OrderedDict[bytes, float] = OrderedDict()  # by a hash of the header; until when
        # One thread: several would take the interpreter from the event loop several times as long.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="decode")

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
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _check_key(self, options: CallOptions) -> None:
        key = sha256(dict(options.given).get("authorization", "").encode()).digest()
        now = time.monotonic()
        if self._accepted.get(key, 0.0) > now:
            return
        try:
            await self._upstream.list_models(options)
        except Unavailable:  # of the connection: the call itself was not begun
            raise not_connected() from None
        self._accepted[key] = now + _SECONDS
        self._accepted.move_to_end(key)
        if len(self._accepted) > _MOST_KEYS:
            self._accepted.popitem(last=False)
