"""Calls that outlast the grace period of a process that stops: they end with an error, and the process with them."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from tests.support.http import open_call, open_stream, read_until
from tests.support.replicas import Replicas
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Mapping

CHAT = "/v1/chat/completions"
SETTINGS: Mapping[str, Any] = {"simulated_rate": 2, "grace_period": 1, "drain_delay": 0, "model_name": "simulated"}
BODY = {
    "model": "simulated",
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": 60,
    "ignore_eos": True,
}


def is_interrupted(stream: str, answer: str) -> bool:
    """Whether a streamed and an unstreamed response end as they should."""
    event = json.loads(stream.split("data: ")[-1].split("\n")[0])
    envelope = json.loads(answer.partition("\r\n\r\n")[2])
    refused = answer.startswith("HTTP/1.1 503 ") and "x-should-retry: false" in answer
    return event == envelope and event["error"]["code"] == "interrupted" and refused and "[DONE]" not in stream


def test_calls_that_outlast_the_grace_period_end_with_an_error_and_the_service_with_them() -> None:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    request = chat_service_pb2.ChatRequest(model="simulated", messages=[message], max_tokens=60, ignore_eos=True)
    with Service(engine="simulated", **SETTINGS) as service, grpc.insecure_channel(service.target) as channel:
        rpc: Any = chat_service_pb2_grpc.ChatServiceStub(channel).Chat.future(request, timeout=60)
        whole = open_call(service.url + CHAT, BODY)
        stream = open_stream(service.url + CHAT, {**BODY, "stream": True}, {"x-request-id": "streamed"})
        service.process.send_signal(signal.SIGTERM)
        received, answer = read_until(stream, '"error"'), read_until(whole, '"error"')
        for connection in (stream, whole):
            connection.close()
        assert rpc.exception().code() is grpc.StatusCode.UNAVAILABLE
        assert rpc.exception().details() == "The service has shut down before the answer was complete."
        assert service.process.wait(60) == 0
        assert "is killed" not in service.output()
        # Its tokens were counted all the same.
        assert service.usage_record("streamed")["completion_tokens"] > 0
    assert is_interrupted(received, answer)


@pytest.mark.parametrize("transport", ["relay", "stream-chat"])
def test_an_edge_worker_that_stops_alone_ends_its_calls_with_an_error_on_either_transport(transport: str) -> None:
    with Replicas(1, edge_transport=transport, **SETTINGS) as replicas, ExitStack() as connections:
        stream = connections.enter_context(open_stream(replicas.url + CHAT, {**BODY, "stream": True}))
        whole = connections.enter_context(open_call(replicas.url + CHAT, BODY))
        replicas.processes["edge-0"].terminate()
        assert is_interrupted(read_until(stream, '"error"'), read_until(whole, '"error"'))
        assert replicas.processes["edge-0"].wait(60) == 0


def test_a_client_that_reads_nothing_does_not_keep_an_edge_worker_from_ending() -> None:
    fast = {**SETTINGS, "simulated_rate": 0}
    with Replicas(1, **fast) as replicas:
        with open_call(replicas.url + CHAT, {**BODY, "stream": True, "max_tokens": 500_000}):
            replicas.processes["edge-0"].terminate()
            assert replicas.processes["edge-0"].wait(20) == 0
