"""Long silences on a scaled clock: what Envoy and gRPC would cut is kept alive."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from tests.support.http import post
from tests.support.replicas import Replicas

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAT = "/v1/chat/completions"
TOKENS = 2
# Envoy ends a call after 300 s without a byte, and comments come every 10 s. Here it is 1.5 s and 0.3 s, and between
# two tokens there are 3 s.
IDLE = {"stream_idle_timeout: 300s": "stream_idle_timeout: 1.5s"}
SETTINGS: dict[str, Any] = {"simulated_rate": 1 / 3, "model_name": "simulated"}
BODY = {
    "model": "simulated",
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": TOKENS,
    "ignore_eos": True,
    "stream": True,
}


@pytest.fixture(scope="module")
def replicas() -> Iterator[Replicas]:
    with Replicas(1, envoy_changes=IDLE, keep_alive=0.3, **SETTINGS) as replicas:
        yield replicas


def test_a_stream_that_is_silent_for_longer_than_envoy_waits_is_kept_alive_by_comments(replicas: Replicas) -> None:
    reply = post(replicas.url + CHAT, BODY)
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert f'"completion_tokens":{TOKENS}'.encode() in reply.body
    assert reply.body.count(b": keep-alive\n\n") >= 8


def test_without_comments_envoy_would_have_ended_that_stream() -> None:
    with Replicas(1, envoy_changes=IDLE, keep_alive=3600, **SETTINGS) as replicas:
        with pytest.raises(Exception, match="IncompleteRead"):
            post(replicas.url + CHAT, BODY)


def test_a_long_unary_call_with_eager_pings_ends_with_its_answer_through_envoy_and_direct() -> None:
    # Some 60 pings in a call without data, as a client with 1.5 s between them sends in 90 s; without our options a
    # gRPC server goes away at the third.
    options = [
        ("grpc.keepalive_time_ms", 100),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    request = chat_service_pb2.ChatRequest(model="simulated", messages=[message], max_tokens=TOKENS, ignore_eos=True)
    with Replicas(1, **SETTINGS) as replicas, ExitStack() as channels:
        answers = []
        for target in (replicas.target, f"unix:{replicas.private}/server-0.sock"):
            channel = channels.enter_context(grpc.insecure_channel(target, options))
            answers.append(chat_service_pb2_grpc.ChatServiceStub(channel).Chat.future(request, timeout=60))
        for answer in answers:
            assert answer.result().usage.completion_tokens == TOKENS
            assert answer.result().timings.total.seconds >= 5, "the call was too short to prove anything"
