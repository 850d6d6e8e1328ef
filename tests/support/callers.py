"""Callers of REST and gRPC, streamed and not, who call again and again while something happens to the replicas."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
from openai import AsyncOpenAI

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from tests.support.http import post

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.replicas import Replicas

MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
CHAT = "/v1/chat/completions"
TOKENS = 60
PROMPT = "Tell me how runners hand a message over."
BODY = {
    "model": MODEL,
    "messages": [{"role": "user", "content": PROMPT}],
    "max_tokens": TOKENS,
    "ignore_eos": True,
}
CALLERS = 4  # of each kind


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
    return chat_service_pb2.ChatRequest(model=MODEL, messages=[message], max_tokens=TOKENS, ignore_eos=True)
