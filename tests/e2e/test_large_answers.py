"""Answers beyond every limit, over REST and gRPC: each is whole or refused by name, and no other call is harmed."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from services.chat.transport.servicers import MAX_ANSWER_BYTES
from services.settings import MAX_MESSAGE_BYTES
from tests.support.gguf_files import write_gguf
from tests.support.http import post
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.http import Reply

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
MODEL = "tiny-simulated"
# 4 choices of 1,200 tokens of 4,000 characters: 19 MB, beyond every message's limit.
LONG: dict[str, Any] = {"model": MODEL, "max_tokens": 1200, "n": 4, "ignore_eos": True}
WORD = "y" * 4000  # a token
HELLO = [{"role": "user", "content": "Hello!"}]
CODE = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture(scope="module", params=["relay", "stream-chat"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    words = [WORD, *(f"{number:04}{'x' * 3996}" for number in range(1000))]
    model = write_gguf(tmp_path_factory.mktemp("long") / "long.gguf", words=words, llama__context_length=100_000)
    with Service(
        engine="simulated",
        simulated_rate=300,  # 5 MB/s, which a reader on a busy machine follows
        model=model,
        context_length=100_000,
        parallel=128,
        edge_transport=request.param,
    ) as service:
        yield service


@contextmanager
def stream_beside(service: Service) -> Iterator[None]:
    """Streams of another caller, one after the other, who begins before the block and ends after it: all are whole."""
    body = {"model": MODEL, "messages": HELLO, "max_tokens": 300, "ignore_eos": True, "stream": True}
    over = threading.Event()

    def stream_until_over() -> list[Reply]:
        replies = [post(service.url + CHAT, body)]
        while not over.is_set():
            replies.append(post(service.url + CHAT, body))
        return replies

    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(stream_until_over)
        try:
            yield
        finally:
            over.set()
    for reply in beside.result():
        events = reply.body.decode().split("\n\n")
        assert events[-2:] == ["data: [DONE]", ""]
        assert json.loads(events[-3].removeprefix("data: "))["usage"]["completion_tokens"] == 300


@contextmanager
def chat_stub(service: Service) -> Iterator[Any]:
    options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
    with grpc.insecure_channel(service.target, options) as channel:
        yield chat_service_pb2_grpc.ChatServiceStub(channel)


def chat_request() -> chat_service_pb2.ChatRequest:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    return chat_service_pb2.ChatRequest(messages=[message], **LONG)


def test_over_rest_an_answer_of_any_size_is_whole(service: Service) -> None:
    with stream_beside(service):
        reply = post(service.url + CHAT, {**LONG, "messages": HELLO})
    answer = reply.json()
    assert reply.status == 200
    assert len(reply.body) > MAX_MESSAGE_BYTES
    assert answer["usage"]["completion_tokens"] == 4800
    assert {choice["finish_reason"] for choice in answer["choices"]} == {"length"}


def test_over_grpc_an_answer_that_fits_into_no_message_is_refused_by_name_and_counted(service: Service) -> None:
    with stream_beside(service), chat_stub(service) as stub:
        with pytest.raises(grpc.RpcError) as raised:
            stub.Chat(chat_request(), metadata=[("x-request-id", "too-large")])
        error: Any = raised.value
        record = service.usage_record("too-large")
    assert error.code() is CODE
    assert "StreamChat" in error.details()
    assert f"{MAX_ANSWER_BYTES:,}" in error.details()
    assert record["outcome"] == "invalid"
    # Tokens of 4,000 characters: those that were generated until the answer was too large, and few more.
    assert MAX_ANSWER_BYTES / 4100 < record["completion_tokens"] < 4800


def test_over_grpc_the_same_answer_is_whole_as_a_stream(service: Service) -> None:
    with stream_beside(service), chat_stub(service) as stub:
        events = [
            event
            for message in stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=chat_request()))
            for event in message.events
        ]
    assert events[-1].completed.usage.completion_tokens == 4800
    assert sum(len(event.delta.content) for event in events) > MAX_MESSAGE_BYTES


@pytest.mark.parametrize("stream", [False, True], ids=["unstreamed", "streamed"])
def test_the_echoes_of_many_large_prompts_are_whole(service: Service, stream: bool) -> None:
    prompt = f"{WORD}\n" * 125
    body = {"model": MODEL, "prompt": [prompt] * 12, "n": 4, "echo": True, "max_tokens": 3, "ignore_eos": True}
    with stream_beside(service):
        connection = HTTPConnection("127.0.0.1", service.port)
        connection.request(
            "POST", COMPLETIONS, json.dumps({**body, "stream": stream}), {"content-type": "application/json"}
        )
        reply = connection.getresponse()
        # The caller is busy elsewhere while everything is sent.
        time.sleep(1)
        answer = reply.read().decode()
        connection.close()
    texts = _texts_of(answer) if stream else [choice["text"] for choice in json.loads(answer)["choices"]]
    assert len(texts) == 48
    assert all(text.startswith(prompt) and len(text) > len(prompt) for text in texts)


def _texts_of(events: str) -> list[str]:
    texts: list[list[str]] = [[] for _ in range(48)]
    for line in events.splitlines():
        if line.startswith("data: {"):
            for choice in json.loads(line.removeprefix("data: "))["choices"]:
                texts[choice["index"]].append(choice["text"])
    return ["".join(parts) for parts in texts]
