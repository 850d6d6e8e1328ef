"""The chat server on the TensorRT-LLM double, as a process: it serves, stops, and ends when the engine breaks."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import grpc
import psutil
import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from tests.support.replicas import wait_until
from tests.support.tensorrt_llm.modes import HOPPER, install_gpus
from tests.support.tensorrt_llm.release import write_checkpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LIMIT = 180.0
# To a server that starts: by default the pause between two attempts grows to two minutes.
RECONNECT = [(f"grpc.{name}_reconnect_backoff_ms", 100) for name in ("initial", "max")]


@asynccontextmanager
async def server(folder: Path, **settings: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    address = f"unix:{folder}/server.sock"
    environ = {
        **os.environ,
        "CHASQUI_ENGINE": "tensorrt-llm",
        "CHASQUI_MODEL": str(write_checkpoint(folder / "model")),
        "CHASQUI_SERVER_ADDRESS": address,
        "CHASQUI_DRAIN_DELAY": "0",
        **settings,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.tensorrt_llm.command",
        "server",
        env=environ,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process, address
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def request(**fields: object) -> chat_service_pb2.ChatRequest:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    return chat_service_pb2.ChatRequest(model="meta-llama/Meta-Llama-3.1-8B-Instruct", messages=[message], **fields)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install_gpus(monkeypatch, tmp_path, HOPPER)


async def test_it_answers_and_ends_with_status_0_on_sigterm(tmp_path: Path) -> None:
    async with server(tmp_path) as (process, address), grpc.aio.insecure_channel(address, RECONNECT) as channel:
        stub = chat_service_pb2_grpc.ChatServiceStub(channel)
        call = request(max_tokens=12, ignore_eos=True)
        response = await stub.Chat(call, wait_for_ready=True, timeout=LIMIT)
        assert response.usage.completion_tokens == 12
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), LIMIT) == 0


async def test_log_probabilities_come_whole_and_streamed_and_are_refused_where_they_would_be_wrong(
    tmp_path: Path,
) -> None:
    fields: dict[str, object] = {"max_tokens": 12, "ignore_eos": True, "logprobs": True, "top_logprobs": 2, "n": 2}
    async with (
        server(tmp_path, CHASQUI_SAMPLER="torch") as (_, address),
        grpc.aio.insecure_channel(address, RECONNECT) as channel,
    ):
        stub = chat_service_pb2_grpc.ChatServiceStub(channel)
        response = await stub.Chat(request(**fields), wait_for_ready=True, timeout=LIMIT)
        for choice in response.choices:
            entries = choice.logprobs.content
            assert b"".join(entry.bytes for entry in entries).decode() == choice.message.content[0].text
            assert [len(entry.top_logprobs) for entry in entries] == [2] * 12
        stream = stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=request(**fields)), timeout=LIMIT)
        events = [event async for response in stream for event in response.events]
        deltas = [event.delta for event in events if event.WhichOneof("event") == "delta"]
        assert sum(len(delta.logprobs.content) for delta in deltas) == 24
        biased = request(**fields, sampling=chat_pb2.SamplingOptions(logit_bias={11: 1.0}))
        with pytest.raises(grpc.aio.AioRpcError, match="logprobs is not supported together with logit_bias"):
            await stub.Chat(biased, timeout=LIMIT)
        with pytest.raises(grpc.aio.AioRpcError, match=r"seed is not supported .* CHASQUI_SAMPLER=trtllm supports it"):
            await stub.Chat(request(sampling=chat_pb2.SamplingOptions(seed=1)), timeout=LIMIT)


async def test_a_flex_call_gives_its_sequence_up_and_is_answered_later_whole(tmp_path: Path) -> None:
    async with (
        server(tmp_path, CHASQUI_PARALLEL="1") as (_, address),
        grpc.aio.insecure_channel(address, RECONNECT) as channel,
    ):
        stub = chat_service_pb2_grpc.ChatServiceStub(channel)
        await stub.Chat(request(max_tokens=1), wait_for_ready=True, timeout=LIMIT)
        flex = request(max_tokens=3000, ignore_eos=True, service_tier=chat_pb2.SERVICE_TIER_FLEX)
        for _ in range(20):  # on a machine that is busy the first call may have ended before the second one arrives
            waiting = asyncio.ensure_future(stub.Chat(flex, timeout=LIMIT))
            await asyncio.sleep(0.2)
            urgent = await stub.Chat(request(max_tokens=3, ignore_eos=True), timeout=LIMIT)
            first = not waiting.done()
            assert urgent.usage.completion_tokens == 3
            assert (await waiting).usage.completion_tokens == 3000
            if first:
                break
        else:
            pytest.fail("no flex call has given its sequence up")


async def test_a_server_that_is_stopped_while_it_loads_ends_and_leaves_no_worker(tmp_path: Path) -> None:
    async with server(tmp_path, LOADS_FOR_EVER="1") as (process, _):
        assert process.stderr is not None
        line = b""
        while not line.startswith(b"loading in process"):
            line = await asyncio.wait_for(process.stderr.readline(), LIMIT)
        worker = psutil.Process(int(line.split()[-1]))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), LIMIT) == 0
        await asyncio.to_thread(wait_until, lambda: has_ended(worker))  # it is killed, which takes a moment


def has_ended(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE  # its new parent may not collect its exit status
    return True


async def test_a_broken_engine_fails_the_call_and_ends_the_process_with_status_1(tmp_path: Path) -> None:
    async with server(tmp_path) as (process, address), grpc.aio.insecure_channel(address, RECONNECT) as channel:
        stub = chat_service_pb2_grpc.ChatServiceStub(channel)
        call = chat_service_pb2.StreamChatRequest(chat=request(max_tokens=4000, ignore_eos=True))
        broken = False
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            while True:  # the first one may be over when the signal arrives
                async for _ in stub.StreamChat(call, wait_for_ready=True, timeout=LIMIT):
                    if not broken:
                        process.send_signal(signal.SIGUSR1)
                        broken = True
        assert failure.value.code() is grpc.StatusCode.INTERNAL
        assert await asyncio.wait_for(process.wait(), LIMIT) == 1


async def test_a_model_that_does_not_fit_the_gpu_ends_it_with_status_2_and_the_arithmetic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_gpus(monkeypatch, tmp_path, "NVIDIA L4, 23034, 3200, 8.9")
    async with server(tmp_path, CHASQUI_CONTEXT_LENGTH="4096") as (process, _):
        _, errors = await asyncio.wait_for(process.communicate(), LIMIT)
        assert process.returncode == 2
        assert b"cannot hold a context of 4,096 tokens: (3.1 GiB free" in errors
