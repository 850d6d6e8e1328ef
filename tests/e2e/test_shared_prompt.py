"""A caller can see where a prompt parted from an earlier one, over REST and gRPC."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc

from chasqui.v1 import chat_pb2, chat_service_pb2
from chasqui.v1.chat_service_pb2_grpc import ChatServiceStub
from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.http import post

if TYPE_CHECKING:
    from tests.support.http import Reply
    from tests.support.service import Service


def last_chunk(service: Service, path: str, **fields: Any) -> dict[str, Any]:
    options = {"stream": True, "stream_options": {"include_timings": True}, "max_tokens": 1}
    reply = post(service.url + path, {"model": REFERENCE_MODEL, **options, **fields})
    chunk: dict[str, Any] = json.loads(reply.body.decode().split("data: ")[-2])
    return chunk


def chat(service: Service, text: str) -> dict[str, Any]:
    return last_chunk(service, "/v1/chat/completions", messages=[{"role": "user", "content": text}])


def test_a_chat_shows_what_it_shares_with_the_last_one_and_what_changed(simulated: Service) -> None:
    first = chat(simulated, "It is noon. " + "Tell me about llamas, please. " * 20)
    second = chat(simulated, "It is dawn. " + "Tell me about llamas, please. " * 20)
    shared = second["shared_prompt"]
    assert 0 < shared["tokens"] < second["usage"]["prompt_tokens"] / 2
    assert shared["previous_tokens"] == first["usage"]["prompt_tokens"]
    assert "dawn" in shared["parted_at"]


def test_an_unstreamed_answer_has_it_in_a_header(simulated: Service) -> None:
    def answered(text: str) -> Reply:
        messages = [{"role": "user", "content": text}]
        return post(simulated.url + "/v1/chat/completions", {"model": REFERENCE_MODEL, "messages": messages})

    first = answered("Es ist Mittag. " + "Erzähle von Lamas. " * 20)
    second = answered("Es ist \x7f früh. " + "Erzähle von Lamas. " * 20)
    shared = json.loads(second.headers["x-shared-prompt"])
    assert 0 < shared["tokens"] < shared["previous_tokens"] == first.json()["usage"]["prompt_tokens"]
    assert "\x7f früh" in shared["parted_at"]


def test_a_completion_that_continues_an_earlier_prompt_parted_nowhere(simulated: Service) -> None:
    prompt = "The runner carries the message over the bridge"
    before = last_chunk(simulated, "/v1/completions", prompt=prompt)
    after = last_chunk(simulated, "/v1/completions", prompt=prompt + " and into the town")
    tokens = before["usage"]["prompt_tokens"]
    assert after["shared_prompt"] == {"tokens": tokens, "previous_tokens": tokens, "parted_at": ""}


def test_over_grpc_the_last_event_has_it(simulated: Service) -> None:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello over gRPC!")])
    request = chat_service_pb2.ChatRequest(model=REFERENCE_MODEL, messages=[message], max_tokens=1)
    with grpc.insecure_channel(simulated.target) as channel:
        stub: Any = ChatServiceStub(channel)
        for _ in range(2):
            events = [
                event
                for batch in stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=request), timeout=30)
                for event in batch.events
            ]
        whole = stub.Chat(request, timeout=30)
    completed = events[-1].completed
    assert whole.shared_prompt == completed.shared_prompt
    assert completed.shared_prompt.tokens == completed.usage.prompt_tokens
    assert completed.shared_prompt.parted_at == ""
