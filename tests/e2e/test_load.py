"""Many streams at once: every token that an engine makes reaches its caller once, in order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_status import rpc_status
from openai import AsyncOpenAI

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from services.chat.server import ChatServer
from services.engine.factory import build_engine
from services.settings import Settings
from services.telemetry.spans import untraced
from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.recording_engine import RecordingEngine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.service import Service

STREAMS = 32
TOKENS = 200
LLAMA_CPP_TOKENS = 50  # as often through the slots, and a quarter of the processor's work


def fields(index: int, tokens: int = TOKENS) -> dict[str, object]:
    return {
        "model": REFERENCE_MODEL,
        "messages": [{"role": "user", "content": f"Tell me story number {index}."}],
        "max_tokens": tokens,
        "extra_body": {"ignore_eos": True},
    }


async def streamed(client: AsyncOpenAI, index: int, tokens: int = TOKENS) -> tuple[str, int]:
    text, counted = "", 0
    async for chunk in await client.chat.completions.create(**fields(index, tokens), stream=True):  # type: ignore[call-overload]
        text += chunk.choices[0].delta.content or ""
        counted = chunk.usage.completion_tokens if chunk.usage else counted
    return text, counted


async def test_32_streams_lose_nothing_and_equal_the_unstreamed_answers(simulated: Service) -> None:
    async with AsyncOpenAI(base_url=simulated.url + "/v1", api_key="unused", max_retries=0) as client:
        streams = await asyncio.gather(*(streamed(client, index) for index in range(STREAMS)))
        whole = await asyncio.gather(*(client.chat.completions.create(**fields(i)) for i in range(STREAMS)))  # type: ignore[call-overload]
    assert [tokens for _, tokens in streams] == [TOKENS] * STREAMS
    assert [text for text, _ in streams] == [answer.choices[0].message.content for answer in whole]


async def test_32_streams_on_llama_cpp_get_all_their_tokens_through_envoy(llama_cpp: Service) -> None:
    async with AsyncOpenAI(base_url=llama_cpp.url + "/v1", api_key="unused", max_retries=0) as client:
        streams = await asyncio.gather(*(streamed(client, index, LLAMA_CPP_TOKENS) for index in range(STREAMS)))
    assert [tokens for _, tokens in streams] == [LLAMA_CPP_TOKENS] * STREAMS
    assert all(text for text, _ in streams)


async def test_of_2000_calls_at_once_each_is_answered_or_refused_with_a_reason(simulated: Service) -> None:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    request = chat_service_pb2.ChatRequest(model=REFERENCE_MODEL, messages=[message], max_tokens=TOKENS)

    async def outcome(stub: Any) -> str:
        try:
            await stub.Chat(request)
        except grpc.aio.AioRpcError as error:
            status = rpc_status.from_call(error)
            names = [detail.TypeName() for detail in status.details] if status is not None else []
            return f"{error.code().name}, RetryInfo {'google.rpc.RetryInfo' in names}"
        return "answered"

    async with grpc.aio.insecure_channel(simulated.target) as channel:
        stub = chat_service_pb2_grpc.ChatServiceStub(channel)
        outcomes = await asyncio.gather(*(outcome(stub) for _ in range(2000)))
    assert set(outcomes) <= {"answered", "UNAVAILABLE, RetryInfo True"}
    assert outcomes.count("answered") >= 64


@pytest.mark.parametrize(("engine", "tokens"), [("llama-cpp", LLAMA_CPP_TOKENS), ("simulated", TOKENS)])
async def test_what_is_delivered_is_what_the_engine_made_in_the_same_call(
    engine: str, tokens: int, tmp_path: Path
) -> None:
    settings = Settings(engine=engine, parallel=8, context_length=1024, threads=1, simulated_rate=0, drain_delay=0)
    recording = RecordingEngine(build_engine(settings))
    await recording.start()
    server = ChatServer(recording, settings, untraced())
    address = f"unix:{tmp_path}/server.sock"
    await server.start(address, "")
    async with grpc.aio.insecure_channel(address) as channel:
        stub = chat_service_pb2_grpc.ChatServiceStub(channel)

        async def text_of(index: int) -> str:
            message = chat_pb2.Message(
                role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text=f"Story number {index}, please.")]
            )
            request = chat_service_pb2.ChatRequest(
                model=REFERENCE_MODEL, messages=[message], max_tokens=tokens, ignore_eos=True
            )
            stream = stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=request))
            return "".join([event.delta.content async for answer in stream for event in answer.events])

        delivered = await asyncio.gather(*(text_of(index) for index in range(STREAMS)))
    await server.stop()
    assert sorted(delivered) == sorted(recording.texts())
