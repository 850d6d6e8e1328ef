"""A gRPC caller who does not read: the call ends alone, and the answer so far is billed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from services.chat.answer.outbox import MOST_UNREAD
from services.chat.server import ChatServer
from services.engine.factory import build_engine
from services.settings import Settings
from services.telemetry.spans import untraced
from tests.support.gguf_files import write_gguf

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("rate", "reader_timeout"), [(0.0, 60.0), (100.0, 0.2)], ids=["too much", "for too long"])
async def test_a_caller_who_does_not_read_gets_an_error_and_frees_the_engine(
    tmp_path: Path, rate: float, reader_timeout: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    # Long tokens fill whatever lies between server and caller soon.
    words = [f"{number}{'x' * 1000}" for number in range(1000)]
    model = write_gguf(tmp_path / "long.gguf", words=words, llama__context_length=1_000_000)
    settings = Settings(
        engine="simulated",
        simulated_rate=rate,
        reader_timeout=reader_timeout,
        model=str(model),
        context_length=1_000_000,
        drain_delay=0.0,
    )
    engine = build_engine(settings)
    await engine.start()
    server = ChatServer(engine, settings, untraced())
    address = f"unix:{tmp_path}/server.sock"
    await server.start(address, "")
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    chat = chat_service_pb2.ChatRequest(
        model="tiny-simulated", messages=[message], n=4, max_tokens=1_000_000, ignore_eos=True
    )
    async with grpc.aio.insecure_channel(address, options=[("grpc.http2.bdp_probe", 0)]) as channel:
        stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
        call = stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=chat))
        while not any(record.message == "chat call ended" for record in caplog.records):  # noqa: ASYNC110 - a log
            await asyncio.sleep(0.01)
        with suppress(grpc.aio.AioRpcError):
            while await call.read() is not grpc.aio.EOF:
                pass
        code = await call.code()
    await server.stop()
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    (record,) = [record.__dict__["fields"] for record in caplog.records if record.message == "chat call ended"]
    assert record["outcome"] == "slow_reader"
    assert 0 < record["completion_tokens"] * 1000 < 10 * MOST_UNREAD
    assert engine.heartbeat().running == 0
