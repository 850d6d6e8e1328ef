"""The watch for a caller that disconnects."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING

from edge.http.disconnect_watch import DisconnectWatch
from tests.support.garbage import nothing_collected

if TYPE_CHECKING:
    from starlette.types import Message


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_watch_that_has_ended_is_freed_without_the_garbage_collector() -> None:
    with nothing_collected():
        watch = DisconnectWatch(never)
        with watch:
            await asyncio.sleep(0)
        freed = weakref.ref(watch)
        del watch
        for _ in range(3):  # for its task to end
            await asyncio.sleep(0)
        assert freed() is None
