"""Replicas are restarted one after the other under load, and no caller notices."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from chasqui.v1 import chat_service_pb2, chat_service_pb2_grpc
from tests.support.callers import BODY, CHAT, Load, chat_request
from tests.support.chat_server import running_chat_server
from tests.support.http import open_stream, post, read_error, read_until
from tests.support.replicas import Replicas, wait_until

REFUSED: dict[str, Any] = {"drain_delay": 0, "grace_period": 20}


async def roll(replicas: Replicas, load: Load) -> None:
    """The procedure: stop one, start it again, wait until it gets calls, take the next."""
    await asyncio.to_thread(wait_until, lambda: all(replicas.answered(index) for index in range(2)))
    for index in range(2):
        assert await asyncio.to_thread(replicas.stop, index) == [0, 0]
        await come(replicas, index)


async def come(replicas: Replicas, index: int) -> None:
    """Start a replica, and wait until it has answered a call since, and gets them over gRPC, too."""
    before = replicas.answered(index)
    replicas.start(index)
    await asyncio.to_thread(wait_until, lambda: replicas.answered(index) > before and replicas.serving() == 2)


async def test_no_call_fails_while_two_replicas_are_restarted_one_after_the_other() -> None:
    with Replicas(2, simulated_rate=60, parallel=64) as replicas:
        async with Load(replicas) as load:
            await roll(replicas, load)
    assert load.failures == []


@pytest.mark.parametrize("rate", [60, 0], ids=["slow", "fast"])  # fast ones are always on their way
async def test_a_replica_that_refuses_at_once_because_it_drains_costs_no_call_either(rate: int) -> None:
    # Without a delay Envoy learns of it from the refusals, which it takes to the other replica.
    with Replicas(2, simulated_rate=rate, parallel=64, **REFUSED) as replicas:
        async with Load(replicas) as load:
            await roll(replicas, load)
    assert load.failures == []


async def test_a_call_that_grpc_refuses_because_its_server_has_stopped_goes_to_the_other_replica() -> None:
    with Replicas(2, simulated_rate=0) as replicas:
        assert await asyncio.to_thread(replicas.stop, 1) == [0, 0]
        async with (
            running_chat_server(replicas.private, "server-1.sock") as stopped,
            grpc.aio.insecure_channel(replicas.target, options=[("grpc.enable_retries", 0)]) as channel,
        ):
            # As its library answers then.
            stopped.chat.batches, stopped.chat.failure = [], grpc.StatusCode.CANCELLED
            stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
            while not stopped.chat.calls:
                stream = stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=chat_request()))
                *_, last = [event async for message in stream for event in message.events]
                assert last.HasField("completed")


def test_without_another_replica_a_refusal_is_the_caller_s_and_names_no_internal_header() -> None:
    with Replicas(1, simulated_rate=20, **REFUSED) as replicas:
        with open_stream(replicas.url + CHAT, {**BODY, "stream": True}) as running:
            replicas.processes["server-0"].terminate()
            wait_until(lambda: "draining" in replicas.output("server-0"))
            reply = post(replicas.url + CHAT, BODY)
            assert (reply.status, "x-not-admitted" in reply.headers) == (503, False)
            assert int(reply.headers["retry-after"]) >= 1
            assert "data: [DONE]" in read_until(running, "[DONE]")
        assert replicas.processes["server-0"].wait(60) == 0


@pytest.mark.parametrize("lost", ["server-0", "edge-0"])
async def test_a_part_that_is_away_costs_no_new_call_while_another_replica_is_there(lost: str) -> None:
    with Replicas(2, simulated_rate=0, parallel=64) as replicas:
        replicas.processes[lost].kill()
        replicas.processes[lost].wait()
        if lost == "server-0":  # a call that its edge has sent by then may have begun, and is not sent again
            await asyncio.to_thread(wait_until, lambda: "the relay is broken" in replicas.output("edge-0"))
        statuses = [(await asyncio.to_thread(post, replicas.url + CHAT, BODY)).status for _ in range(20)]
    assert statuses == [200] * 20


async def test_a_call_that_outlasts_the_grace_period_ends_with_an_error_that_says_so() -> None:
    with Replicas(1, simulated_rate=5, drain_delay=0, grace_period=1) as replicas:
        async with grpc.aio.insecure_channel(replicas.target) as channel:
            stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
            direct = stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=chat_request()))
            await direct.read()
            with open_stream(replicas.url + CHAT, {**BODY, "stream": True}) as relayed:
                replicas.processes["server-0"].terminate()
                received = await asyncio.to_thread(read_error, relayed)
                with pytest.raises(grpc.aio.AioRpcError) as ended:
                    while await direct.read() is not grpc.aio.EOF:
                        pass
        assert "The service has shut down before the answer was complete." in received
        assert "[DONE]" not in received
        assert (ended.value.code(), ended.value.details()) == (
            grpc.StatusCode.UNAVAILABLE,
            "The service has shut down before the answer was complete.",
        )
        assert replicas.processes["server-0"].wait(60) == 0
