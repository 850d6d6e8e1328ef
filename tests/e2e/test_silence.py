"""Long silences on a scaled clock: no timer of Envoy or gRPC ends a call that is well."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from tests.support.http import post
from tests.support.replicas import Replicas

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHAT = "/v1/chat/completions"
TOKENS = 2
# Every timer of the public listener that can end a call, at 3 s, where comments come every 0.3 s, and the first token
# after 6 s: a process of a busy machine may stand still for more than two seconds.
SCALED = {
    "stream_idle_timeout: 3600s": "stream_idle_timeout: 3s",
    "stream_flush_timeout: 300s": "stream_flush_timeout: 3s",
    "request_timeout: 120s": "request_timeout: 3s",
    "request_headers_timeout: 15s": "request_headers_timeout: 3s",
    "connection_keepalive: { interval: 30s, timeout: 20s }": "connection_keepalive: { interval: 0.5s, timeout: 3s }",
    "connection_keepalive: { interval: 30s, timeout: 10s }": "connection_keepalive: { interval: 5s, timeout: 4s }",
}
SETTINGS: Mapping[str, Any] = {"simulated_rate": 1 / 3, "model_name": "simulated", "parallel": 1}
BODY = {
    "model": "simulated",
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": TOKENS,
    "ignore_eos": True,
}


@pytest.fixture(scope="module")
def replicas() -> Iterator[Replicas]:
    with Replicas(1, envoy_changes=SCALED, keep_alive=0.3, **SETTINGS) as replicas:
        yield replicas


def chat_request(max_tokens: int = TOKENS) -> chat_service_pb2.ChatRequest:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    return chat_service_pb2.ChatRequest(model="simulated", messages=[message], max_tokens=max_tokens, ignore_eos=True)


def test_a_stream_that_is_silent_for_longer_than_envoy_waits_is_kept_alive_by_comments(replicas: Replicas) -> None:
    reply = post(replicas.url + CHAT, {**BODY, "stream": True})
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert f'"completion_tokens":{TOKENS}'.encode() in reply.body
    assert reply.body.count(b": keep-alive\n\n") >= 8


def test_without_comments_envoy_would_have_ended_that_stream() -> None:
    with Replicas(1, envoy_changes=SCALED, keep_alive=3600, **SETTINGS) as replicas:
        with pytest.raises(Exception, match="IncompleteRead"):
            post(replicas.url + CHAT, {**BODY, "stream": True})


def test_an_unstreamed_call_over_rest_ends_at_envoys_limit_with_an_envelope_that_forbids_a_retry(
    replicas: Replicas,
) -> None:
    reply = post(replicas.url + CHAT, BODY)
    assert (reply.status, reply.error["code"], reply.headers["x-should-retry"]) == (504, "timeout", "false")


def test_no_timer_ends_a_silent_call_over_grpc_a_queued_one_or_a_health_watch(replicas: Replicas) -> None:
    statuses = []
    with grpc.insecure_channel(replicas.target) as channel:

        def watch() -> None:
            statuses.extend(health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=15))

        def expect_the_deadline() -> None:
            with pytest.raises(grpc.RpcError) as raised:
                watch()
            statuses.append(raised.value.code())

        watching = threading.Thread(target=expect_the_deadline)
        watching.start()
        stub = chat_service_pb2_grpc.ChatServiceStub(channel)
        # The first one has the only slot for 6 s; the others wait for it, and then for their own.
        unary = stub.Chat.future(chat_request(), timeout=60)
        queued = stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=chat_request(1)), timeout=60)
        assert unary.result().usage.completion_tokens == TOKENS
        events = [event for message in queued for event in message.events]
        assert events[-1].completed.usage.completion_tokens == 1
        watching.join()
    assert [getattr(each, "status", each) for each in statuses] == [
        health_pb2.HealthCheckResponse.SERVING,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    ]


def test_a_timer_of_envoy_on_a_grpc_route_would_be_deadline_exceeded_which_clients_do_not_retry() -> None:
    with Replicas(1, envoy_changes={"idle_timeout: 0s": "idle_timeout: 1.5s"}, **SETTINGS) as replicas:
        with grpc.insecure_channel(replicas.target) as channel, pytest.raises(grpc.RpcError) as raised:
            chat_service_pb2_grpc.ChatServiceStub(channel).Chat(chat_request(), timeout=60)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert raised.value.details() == "The service did not answer in time."


def test_a_long_unary_call_with_eager_pings_ends_with_its_answer_through_envoy_and_direct() -> None:
    # Some 60 pings in a call without data, as a client with 1.5 s between them sends in 90 s; without our options a
    # gRPC server goes away at the third.
    options = [
        ("grpc.keepalive_time_ms", 100),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    with Replicas(1, **{**SETTINGS, "parallel": 2}) as replicas, ExitStack() as channels:
        answers = []
        for target in (replicas.target, f"unix:{replicas.private}/server-0.sock"):
            channel = channels.enter_context(grpc.insecure_channel(target, options))
            answers.append(chat_service_pb2_grpc.ChatServiceStub(channel).Chat.future(chat_request(), timeout=60))
        for answer in answers:
            assert answer.result().usage.completion_tokens == TOKENS
            assert answer.result().timings.total.seconds >= 5, "the call was too short to prove anything"
