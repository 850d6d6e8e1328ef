"""The watch for a caller that disconnects."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING

from opentelemetry.context import Context

from edge.http.disconnect_watch import DisconnectWatch
from edge.http.exchange import Exchange, current_exchange
from services.telemetry.spans import untraced
from tests.support.garbage import nothing_collected

if TYPE_CHECKING:
    from starlette.types import Message


class Caller:
    """A request whose messages are futures, as granian's are: `next` is the one that is awaited."""

    def __init__(self) -> None:
        self.next: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    def receive(self) -> asyncio.Future[Message]:
        self.next = asyncio.get_running_loop().create_future()
        return self.next


async def test_the_end_of_the_body_is_not_a_disconnect_and_what_follows_it_may_be_one() -> None:
    exchange = begun()
    caller = Caller()
    with DisconnectWatch(caller.receive):
        caller.next.set_result({"type": "http.request", "body": b"", "more_body": False})
        await asyncio.sleep(0)
        caller.next.set_result({"type": "http.disconnect"})
        await asyncio.Event().wait()
    assert exchange.hung_up


async def test_a_disconnect_in_the_moment_of_the_end_is_none() -> None:
    exchange = begun()
    caller = Caller()
    with DisconnectWatch(caller.receive) as watch:
        caller.next.set_result({"type": "http.disconnect"})
        watch.end()
        await asyncio.sleep(0)
    assert not exchange.hung_up


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


def begun() -> Exchange:
    """The current request."""
    exchange = Exchange("", "", untraced().begin("", Context()), unsent)
    current_exchange.set(exchange)
    return exchange


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def unsent(_: Message) -> None:
    raise AssertionError
