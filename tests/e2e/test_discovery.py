"""Replicas that Envoy finds by a DNS name, as in Kubernetes: scaled and rolled under load, and sessions that stay."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from chasqui.v1 import chat_service_pb2_grpc
from tests.support.callers import BODY, CHAT, Load, chat_request
from tests.support.http import post
from tests.support.named_replicas import NamedReplicas
from tests.support.replicas import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SETTINGS: dict[str, Any] = {"simulated_rate": 60, "parallel": 64}
SESSIONS = [f"session-{number}" for number in range(40)]  # enough for each replica to have some


async def leave(replicas: NamedReplicas, known: list[int], index: int) -> None:
    """A pod is deleted: its parts get SIGTERM, and when they have ended the name loses its address."""
    known.remove(index)
    assert await asyncio.to_thread(replicas.stop, index) == [0, 0]
    replicas.know(known)


async def come(replicas: NamedReplicas, known: list[int], index: int) -> None:
    """A pod is made: the name has its address before it is ready."""
    known.append(index)
    replicas.know(known)
    replicas.start(index)
    await asyncio.to_thread(wait_until, lambda: replicas.serving() == len(known))


async def test_no_call_fails_while_three_replicas_become_one_and_three_again_and_are_rolled() -> None:
    known = [0, 1, 2]
    with NamedReplicas(3, **SETTINGS) as replicas:
        async with Load(replicas) as load:
            for index in (2, 1):
                await leave(replicas, known, index)
            await asyncio.to_thread(wait_until, lambda: replicas.serving() == 1)
            await load.more()
            for index in (1, 2):
                await come(replicas, known, index)
            await load.more()
            for index in range(3):
                await leave(replicas, known, index)
                before = replicas.answered(index)
                await come(replicas, known, index)
                await asyncio.to_thread(wait_until, answered_since(replicas, index, before))
    assert load.failures == []


def answered_since(replicas: NamedReplicas, index: int, before: int) -> Callable[[], bool]:
    """Whether a replica has answered more calls than `before`."""
    return lambda: replicas.answered(index) > before


@pytest.fixture(scope="module")
def three() -> Iterator[NamedReplicas]:
    with NamedReplicas(3, simulated_rate=20, parallel=64) as replicas:
        wait_until(lambda: sessions_serving(replicas) == 3)
        yield replicas


def sessions_serving(replicas: NamedReplicas) -> int:
    """How many replicas Envoy sends the calls of sessions to."""
    lines = replicas.admin("/clusters").decode().splitlines()
    well = Counter(line.split("::")[0] for line in lines if line.endswith("::health_flags::healthy"))
    return min(well["edge_sessions"], well["chat_server_sessions"])


def replica_of(replicas: NamedReplicas, request_id: str) -> int:
    """Which replica has answered a call; waits for its log line."""
    found: list[int] = []

    def look() -> bool:
        found[:] = [index for index in range(3) if f'"{request_id}"' in replicas.output(f"server-{index}")]
        return bool(found)

    wait_until(look)
    [index] = found
    return index


def chat_of(replicas: NamedReplicas, session: str, request_id: str, tokens: int = 1) -> int:
    """A REST call of a session; the replica that has answered it."""
    headers = {"x_session_id": session, "x_request_id": request_id}
    assert post(replicas.url + CHAT, {**BODY, "max_tokens": tokens}, **headers).status == 200
    return replica_of(replicas, request_id)


def places_of(replicas: NamedReplicas, turn: str) -> dict[str, int]:
    """Which replica answers a REST call of each session, one by one: a busy replica is passed over."""
    return {session: chat_of(replicas, session, f"{session}-{turn}") for session in SESSIONS}


def test_every_call_of_a_session_goes_to_one_replica_and_sessions_to_all(three: NamedReplicas) -> None:
    places = [places_of(three, f"rest-{turn}") for turn in range(4)]
    assert places == [places[0]] * 4
    assert set(places[0].values()) == {0, 1, 2}


def test_so_does_every_call_over_grpc(three: NamedReplicas) -> None:
    request = chat_request()
    request.max_tokens = 1
    with grpc.insecure_channel(three.target) as channel:
        stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)

        def places(session: str) -> set[int]:
            names = [f"{session}-grpc-{turn}" for turn in range(3)]
            for name in names:
                stub.Chat(request, metadata=(("x-session-id", session), ("x-request-id", name)))
            return {replica_of(three, name) for name in names}

        found = [places(session) for session in SESSIONS]
    assert [len(each) for each in found] == [1] * len(SESSIONS)
    assert set.union(*found) == {0, 1, 2}


@pytest.mark.parametrize("content_type", ["application/grpc-web+proto", "application/proto"])
def test_so_does_every_call_of_a_web_client(three: NamedReplicas, content_type: str) -> None:
    request = chat_request()
    request.max_tokens = 1
    message = request.SerializeToString()
    body = message if content_type == "application/proto" else struct.pack(">?I", False, len(message)) + message
    for session in SESSIONS[:6]:
        places = set()
        for turn in range(3):
            request_id = f"{session}-{content_type}-{turn}".replace("/", "-").replace("+", "-")
            headers = {"x_session_id": session, "x_request_id": request_id, "connect_protocol_version": "1"}
            post(f"{three.url}/chasqui.v1.ChatService/Chat", body, content_type=content_type, **headers)
            places.add(replica_of(three, request_id))
        assert len(places) == 1


def test_a_busy_replica_is_passed_over(three: NamedReplicas) -> None:
    # One session alone, 30 calls at a time. Twice the share of a replica are 20 of them; those that wait for Envoy's
    # first connection would not count yet.
    chat_of(three, "one", "connected")
    with ThreadPoolExecutor(30) as pool:
        names = [f"busy-{number}" for number in range(30)]
        places = Counter(pool.map(lambda name: chat_of(three, "one", name, tokens=40), names))
    assert max(places.values()) < 30


def test_when_a_replica_goes_its_sessions_move_and_hardly_any_other(three: NamedReplicas) -> None:
    known = [0, 1, 2]
    before = places_of(three, "before")
    asyncio.run(leave(three, known, 2))
    after = places_of(three, "after")
    moved = [session for session in SESSIONS if before[session] not in (2, after[session])]
    assert len(moved) <= 1  # which Maglev does once in some 200 runs of this test
    assert set(after.values()) == {0, 1}
    asyncio.run(come(three, known, 2))
    wait_until(lambda: sessions_serving(three) == 3)
