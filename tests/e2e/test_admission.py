"""Overload as callers meet it, through the real Envoy, edge and server: turns, shares, refusals with a hint."""

from __future__ import annotations

import json
import re
import select
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.http import Reply, open_call, post
from tests.support.ports import free_row
from tests.support.replicas import wait_until
from tests.support.service import Service
from tests.support.siege import answer_on

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Sequence

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "Hello!"}]
ENDLESS = {
    "model": REFERENCE_MODEL,
    "messages": MESSAGES,
    "max_tokens": 4000,
    "ignore_eos": True,
}
SHORT = {**ENDLESS, "max_tokens": 10}
FLOODER, OTHER = {"authorization": "Bearer flooder"}, {"authorization": "Bearer other"}


@pytest.fixture(params=["simulated", "llama-cpp"], scope="module")
def keyed(request: pytest.FixtureRequest) -> Iterator[Service]:
    """A service with two callers that runs one answer at a time and lets eight wait."""
    settings: dict[str, Any] = {
        "engine": request.param,
        "simulated_rate": 200,
        "parallel": 1,
        "max_queue": 8,
        "threads": 1,
    }
    with Service(**settings, api_keys="flooder,other", metrics_address=f"127.0.0.1:{free_row(4)}") as service:
        yield service


def served(service: Service, *names: str) -> list[str]:
    """The request ids of these calls in the order in which they ended; waits for all of them."""
    for name in names:
        service.usage_record(name)
    ended = re.findall(r'"chat call ended","request_id":"([^"]+)"', service.output())
    return [name for name in ended if name in names]


def refused(calls: Sequence[socket.socket], count: int) -> list[Reply]:
    """The answers of so many calls, while the others have none."""
    answered: list[socket.socket] = []
    while len(answered) < count:
        answered += select.select([call for call in calls if call not in answered], [], [])[0]
    return [answer_on(call) for call in answered]


def test_a_caller_who_floods_delays_another_by_one_call_and_leaves_room_for_it(keyed: Service) -> None:
    replies: dict[str, Reply] = {}

    def call(name: str, headers: dict[str, str]) -> None:
        replies[name] = post(keyed.url + CHAT, {**SHORT, "max_tokens": 100}, **headers, x_request_id=name)

    with open_call(keyed.url + CHAT, {**ENDLESS, "stream": True}, FLOODER | {"x-request-id": "first"}) as running:
        running.recv(65536)
        flood = [threading.Thread(target=call, args=(f"flood-{number}", FLOODER)) for number in range(30)]
        for thread in flood:
            thread.start()
        while len(replies) < 30 - 4:
            time.sleep(0.01)  # half of the queue is the flooder's, and the others are refused
        other = threading.Thread(target=call, args=("other", OTHER))
        other.start()
        wait_until(lambda: keyed.calls() == (1, 4 + 1))
        probe = post(keyed.url + CHAT, SHORT, **OTHER, x_request_timeout="0.3")
        assert probe.status == 504
    for thread in (*flood, other):
        thread.join()
    statuses = [reply.status for name, reply in replies.items() if name != "other"]
    assert (statuses.count(200), statuses.count(503)) == (4, 26)
    assert replies["other"].status == 200
    answered = [name for name, reply in replies.items() if reply.status == 200]
    assert served(keyed, *answered).index("other") <= 1


def test_a_refusal_is_a_503_with_a_hint_when_to_retry_on_both_roads(keyed: Service) -> None:
    wait_until(lambda: keyed.calls() == (0, 0))
    fill = [open_call(keyed.url + CHAT, ENDLESS, FLOODER) for _ in range(9)]
    # One runs, and four wait, which is the share of one caller.
    assert [reply.status for reply in refused(fill, 4)] == [503] * 4
    reply = post(keyed.url + CHAT, SHORT, **FLOODER)
    assert reply.status == 503
    assert reply.error["code"] == "overloaded"
    assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert "x-should-retry" not in reply.headers
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    with grpc.insecure_channel(keyed.target) as channel:
        stub = chat_service_pb2_grpc.ChatServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Chat(
                chat_service_pb2.ChatRequest(model=REFERENCE_MODEL, messages=[message]),
                metadata=tuple(FLOODER.items()),
            )
    status = rpc_status.from_call(caught.value)
    assert status is not None
    assert status.code == grpc.StatusCode.UNAVAILABLE.value[0]
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in status.details)
    assert 1 <= retry.retry_delay.ToTimedelta().total_seconds() <= 60
    for connection in fill:
        connection.close()
    wait_until(lambda: post(keyed.url + CHAT, SHORT, **FLOODER).status == 200)


def test_without_keys_a_caller_cannot_pass_for_many_by_headers_of_its_own() -> None:
    with Service(engine="simulated", simulated_rate=1, parallel=1, max_queue=4) as service:
        names = [f"10.0.0.{number}" for number in range(6)]
        forged = [{"x-client-address": name, "x-forwarded-for": name} for name in names]
        calls = [open_call(service.url + CHAT, ENDLESS, headers) for headers in forged]
        # One runs, two wait, which is the share of one caller.
        refusals = refused(calls, 3)
        assert [(reply.status, "your share" in reply.error["message"]) for reply in refusals] == [(503, True)] * 3
        for connection in calls:
            connection.close()


def test_the_time_in_the_queue_is_part_of_the_latency_report() -> None:
    address = f"127.0.0.1:{free_row(4)}"
    with Service(engine="simulated", simulated_rate=100, parallel=1, metrics_address=address) as service:
        with ThreadPoolExecutor() as pool, open_call(service.url + CHAT, ENDLESS):
            wait_until(lambda: service.calls() == (1, 0))
            waiting = pool.submit(post, service.url + CHAT, SHORT)
            wait_until(lambda: service.calls() == (1, 1))
            time.sleep(0.15)
        reply = waiting.result()
        timing = dict(re.findall(r"(\w+);dur=([\d.]+)", reply.headers["server-timing"]))
        assert float(timing["queue"]) > 100
        assert json.loads(reply.body)["usage"]["completion_tokens"] == 10
