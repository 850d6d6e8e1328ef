"""Replicas are restarted one after the other under load, and no caller notices."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from openai import AsyncOpenAI

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.http import open_stream, post, read_until
from tests.support.replicas import Replicas, wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CHAT = "/v1/chat/completions"
TOKENS = 60
PROMPT = "Tell me how runners hand a message over."
BODY = {
    "model": REFERENCE_MODEL,
    "messages": [{"role": "user", "content": PROMPT}],
    "max_tokens": TOKENS,
    "ignore_eos": True,
}
CALLERS = 4  # of each kind
REFUSED: dict[str, Any] = {"drain_delay": 0, "grace_period": 20}


class Load:
    """Callers of four kinds, each beginning its next call when its last has ended; `failures` holds what went wrong."""

    def __init__(self, replicas: Replicas) -> None:
        self.expected = post(replicas.url + CHAT, BODY).json()["choices"][0]["message"]["content"]
        self.failures: list[str] = []
        self.answered = 0
        self._over = False
        self._client = AsyncOpenAI(base_url=replicas.url + "/v1", api_key="unused", max_retries=0)
        # A call that fails is a failure, not something for the client to repeat.
        self._channel = grpc.aio.insecure_channel(replicas.target, options=[("grpc.enable_retries", 0)])
        self._stub: Any = chat_service_pb2_grpc.ChatServiceStub(self._channel)

    async def __aenter__(self) -> Load:
        kinds = (self._rest, self._rest_stream, self._grpc, self._grpc_stream)
        self._callers = [asyncio.create_task(self._call(kind)) for kind in kinds for _ in range(CALLERS)]
        await self.more()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        await asyncio.gather(*self._callers)
        await self._client.close()
        await self._channel.close()

    async def more(self) -> None:
        """Wait until each caller could have had another answer."""
        enough = self.answered + 4 * CALLERS
        while self.answered < enough:  # noqa: ASYNC110 - plain to read, and no promise about time
            await asyncio.sleep(0.02)

    async def _call(self, kind: Callable[[], Awaitable[str]]) -> None:
        while not self._over:
            try:
                answer = await kind()
            except Exception as error:  # noqa: BLE001 - whatever it is, a caller has met it
                self.failures.append(f"{kind.__name__}: {error!r}")
            else:
                if answer != self.expected:
                    self.failures.append(f"{kind.__name__}: {answer!r}")
            self.answered += 1

    async def _rest(self) -> str:
        answer = await self._client.chat.completions.create(**FIELDS)
        return answer.choices[0].message.content or ""

    async def _rest_stream(self) -> str:
        stream = await self._client.chat.completions.create(**FIELDS, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def _grpc(self) -> str:
        answer = await self._stub.Chat(chat_request())
        text: str = answer.choices[0].message.content[0].text
        return text

    async def _grpc_stream(self) -> str:
        stream = self._stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=chat_request()))
        return "".join([event.delta.content async for message in stream for event in message.events])


FIELDS: dict[str, Any] = {
    **{name: value for name, value in BODY.items() if name != "ignore_eos"},
    "extra_body": {"ignore_eos": True},
}


def chat_request() -> chat_service_pb2.ChatRequest:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text=PROMPT)])
    return chat_service_pb2.ChatRequest(model=REFERENCE_MODEL, messages=[message], max_tokens=TOKENS, ignore_eos=True)


async def roll(replicas: Replicas, load: Load) -> None:
    """The procedure: stop one, start it again, wait until it gets calls, take the next."""
    for index in range(2):
        before = settled(replicas, index)
        assert before, "no call has reached the replica that is to be restarted"
        assert await asyncio.to_thread(replicas.stop, index) == [0, 0]
        replicas.start(index)
        await asyncio.to_thread(wait_until, lambda: replicas.serving() == 2)
        await load.more()
        assert settled(replicas, index) > before, "no call has reached the replica since"


def settled(replicas: Replicas, index: int) -> int:
    return replicas.output(f"server-{index}").count("chat call ended")


async def test_no_call_fails_while_two_replicas_are_restarted_one_after_the_other() -> None:
    with Replicas(2, simulated_rate=60, parallel=64) as replicas:
        async with Load(replicas) as load:
            await roll(replicas, load)
    assert load.failures == []


async def test_a_replica_that_refuses_at_once_because_it_drains_costs_no_call_either() -> None:
    # Without a delay Envoy learns of it from the refusals, which it takes to the other replica.
    with Replicas(2, simulated_rate=60, parallel=64, **REFUSED) as replicas:
        async with Load(replicas) as load:
            await roll(replicas, load)
    assert load.failures == []


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
        statuses = [(await asyncio.to_thread(post, replicas.url + CHAT, BODY)).status for _ in range(20)]
    assert statuses == [200] * 20
