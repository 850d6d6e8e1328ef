"""What accounts cost the chat server per call, in one process and without gRPC: its event loop, and its other threads.

Servers with limits, with a key alone and without accounts take turns of a few calls in one event loop, over streams of
the Relay that are no more than queues. Turns are short and in one thread, so that other load on the machine meets all
servers alike; the figures are CPU time.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from typing import TYPE_CHECKING, Any, Final

import uvloop

from chasqui.v1 import chat_pb2, chat_service_pb2, relay_service_pb2
from services.chat.server import ChatServer
from services.chat.transport.relay_session import RelaySession, RelayTraffic
from services.engine.factory import build_engine
from services.settings import Settings
from services.telemetry.spans import untraced
from services.threads import share_interpreter
from tests.support.operator import Operator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TURNS: Final = 300
CALLS: Final = 48
CALLERS: Final = 32
_PROMPT: Final = "Tell me what runners carried across the mountains, and how. " * 9
_OFF: Final = "without accounts"


class _Stream:
    """Stands for the stream of an edge worker: keeps its callers busy until a turn is over."""

    def __init__(self, engine: Any, key: str) -> None:
        part = chat_pb2.ContentPart(text=_PROMPT)
        message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[part])
        chat = chat_service_pb2.ChatRequest(model=engine.model.name, messages=[message], max_tokens=1, ignore_eos=True)
        self._chat = chat.SerializeToString()
        self._key = key
        self._requests = asyncio.Queue[relay_service_pb2.RelayRequest]()
        self._submitted = 0
        self._left = 0  # calls of the turn that have not been submitted
        self._open = 0
        self._over = asyncio.Event()

    async def read(self) -> relay_service_pb2.RelayRequest:
        """The next message of the worker."""
        return await self._requests.get()

    async def write(self, message: relay_service_pb2.RelayResponse) -> None:
        """Serialize it, as gRPC does; the caller of an answer that is complete makes its next call."""
        message.SerializeToString()
        for call in message.calls:
            if any(event.HasField("completed") for event in call.events):
                self._open -= 1
                self._submit()

    async def turn(self) -> None:
        """So many calls, of so many callers."""
        self._left = CALLS
        self._over.clear()
        for _ in range(CALLERS):
            self._submit()
        await self._over.wait()

    def _submit(self) -> None:
        if not self._left:
            if not self._open:
                self._over.set()
            return
        self._left -= 1
        self._open += 1
        self._submitted += 1
        metadata = {
            "authorization": f"Bearer {self._key}",
            "traceparent": f"00-{self._submitted:032x}-{self._submitted:016x}-01",
            "x-client-address": "127.0.0.1",
            "x-endpoint": "chat/completions",
            "x-request-id": f"request-{self._submitted}",
        }
        submit = relay_service_pb2.Submit(call_id=self._submitted, chat=self._chat, streamed=True, metadata=metadata)
        message = relay_service_pb2.RelayRequest(submits=[submit]).SerializeToString()
        self._requests.put_nowait(relay_service_pb2.RelayRequest.FromString(message))


def loop_costs(limits: tuple[str, ...]) -> tuple[Mapping[str, list[float]], float]:
    """Microseconds of the loop per call, more than without accounts, turn by turn; and those of the other threads."""
    share_interpreter()
    return uvloop.run(_measured(limits))


async def _measured(limits: tuple[str, ...]) -> tuple[Mapping[str, list[float]], float]:
    with tempfile.TemporaryDirectory() as folder:
        place = f"{folder}/accounts.db"
        operator = Operator(place)
        bare, limited = operator.run("keys", "create", "bare"), operator.run("keys", "create", "limited", *limits)
        servers, sessions, streams = [], [], {}
        for name, accounts, key in ((_OFF, "", ""), ("a key", place, bare), ("a key with limits", place, limited)):
            server, stream = await _served(accounts, key)
            servers.append(server)
            streams[name] = stream
            sessions.append(asyncio.create_task(_session(server, stream).run()))
        costs: dict[str, list[float]] = {name: [] for name in streams}
        for _ in streams.values():  # warm
            await asyncio.gather(*(stream.turn() for stream in streams.values()))
        began, began_loop = time.process_time(), time.thread_time()
        for name in _turns(list(streams)):
            before = time.thread_time()
            await streams[name].turn()
            costs[name].append(1e6 * (time.thread_time() - before) / CALLS)
        await asyncio.sleep(0.5)  # the ledger's last batch
        others = time.process_time() - began - (time.thread_time() - began_loop)
        for session in sessions:
            session.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)
        for server in servers:
            await server.stop()
    more = {
        name: [with_ - without for with_, without in zip(values, costs[_OFF], strict=True)]
        for name, values in costs.items()
        if name != _OFF
    }
    return more, 1e6 * others / (len(more) * TURNS * CALLS)


async def _served(accounts: str, key: str) -> tuple[ChatServer, _Stream]:
    settings = Settings(
        engine="simulated", simulated_rate=0, parallel=4096, max_queue=4096, accounts=accounts, drain_delay=0
    )
    engine: Any = build_engine(settings)
    await engine.start()
    server = ChatServer(engine, settings, untraced())
    await server.start("127.0.0.1:0", "")
    return server, _Stream(engine, key)


def _session(server: ChatServer, stream: Any) -> RelaySession:
    relay = server._relay
    return RelaySession(server._pipeline, relay._authentication, relay._observer, RelayTraffic(), stream, 60.0)


def _turns(names: list[str]) -> Iterator[str]:
    """The names in turn, each as often first."""
    for number in range(TURNS):
        first = number % len(names)
        yield from (*names[first:], *names[:first])
