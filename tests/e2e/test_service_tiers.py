"""Service tiers as callers meet them: which calls run first, what they cost, and how a flex call is refused."""

from __future__ import annotations

import itertools
import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.gguf_files import write_gguf
from tests.support.http import open_call, post, read_until
from tests.support.ports import free_row
from tests.support.replicas import wait_until
from tests.support.service import Service

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

CHAT = "/v1/chat/completions"
SHORT: dict[str, Any] = {
    "model": REFERENCE_MODEL,
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": 5,
    "ignore_eos": True,
}
FLEX = {**SHORT, "service_tier": "flex"}
ENDLESS = 200_000  # tokens, for a quarter of an hour
FACTORS = {"priority": Decimal("1.5"), "default": Decimal(1), "flex": Decimal("0.8")}


@pytest.fixture(scope="module")
def one_slot(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings: one slot, and a context in which a call runs for as long as a test may take."""
    model = write_gguf(tmp_path_factory.mktemp("tiers") / "long.gguf", llama__context_length=ENDLESS + 1000)
    length = {"model": model, "context_length": ENDLESS + 1000}
    return {"engine": "simulated", "simulated_rate": 200, "parallel": 1, **length}


@pytest.fixture(scope="module")
def service(one_slot: dict[str, Any]) -> Iterator[Service]:
    """A service with one slot, for which flex calls wait as long as it takes."""
    with Service(**one_slot, metrics_address=f"127.0.0.1:{free_row(4)}") as service:
        yield service


@pytest.fixture(scope="module")
def hasty(one_slot: dict[str, Any]) -> Iterator[Service]:
    """The same, but flex calls are refused that have waited for a moment."""
    with Service(**one_slot, flex_wait=0.2) as service:
        yield service


@contextmanager
def busy(service: Service) -> Iterator[None]:
    """The only slot is taken."""
    endless = {**SHORT, "max_tokens": ENDLESS, "stream": True}
    with open_call(service.url + CHAT, endless, {"x-request-id": "endless"}) as running:
        running.recv(65536)
        yield


def events_of(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in body.decode().split("\n\n") if line.startswith("data: {")]


@pytest.mark.parametrize(
    ("asked", "served"),
    [(None, "default"), ("auto", "default"), ("default", "default"), ("priority", "priority"), ("flex", "flex")],
)
@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
def test_an_answer_names_the_tier_that_served_it_and_costs_its_price(
    service: Service, path: str, asked: str | None, served: str
) -> None:
    given = {"prompt": "Hello!"} if path != CHAT else {"messages": SHORT["messages"]}
    body = {"model": REFERENCE_MODEL, "max_tokens": 5, "service_tier": asked, **given}
    answer = post(service.url + path, body).json()
    chunks = events_of(post(service.url + path, {**body, "stream": True}).body)
    assert [answer["service_tier"], *(chunk["service_tier"] for chunk in chunks)] == [served] * (1 + len(chunks))
    for usage in (answer["usage"], chunks[-1]["usage"]):
        exact = FACTORS[served] * Decimal("0.055") * usage["total_tokens"] / 1_000_000
        assert usage["estimated_cost"] == float(exact)


def test_over_grpc_the_tier_is_the_same_and_a_number_that_is_none_is_refused(hasty: Service) -> None:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    request = chat_service_pb2.ChatRequest(
        model=REFERENCE_MODEL, messages=[message], max_tokens=5, service_tier=chat_pb2.SERVICE_TIER_PRIORITY
    )
    with grpc.insecure_channel(hasty.target) as channel:
        stub = chat_service_pb2_grpc.ChatServiceStub(channel)
        assert stub.Chat(request).service_tier == chat_pb2.SERVICE_TIER_PRIORITY
        [started, *_] = [
            event for part in stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=request)) for event in part.events
        ]
        assert started.started.service_tier == chat_pb2.SERVICE_TIER_PRIORITY
        request.service_tier = 9  # type: ignore[assignment]  # as a later client may
        with pytest.raises(grpc.RpcError) as caught:
            stub.Chat(request)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        request.service_tier = chat_pb2.SERVICE_TIER_FLEX
        with busy(hasty), pytest.raises(grpc.RpcError) as caught:
            list(stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=request)))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(("tier", "kind"), [("scale", "one of auto, default, priority, flex"), (1, "str")])
def test_another_tier_is_refused_by_name(service: Service, tier: object, kind: str) -> None:
    reply = post(service.url + CHAT, {**SHORT, "service_tier": tier})
    assert (reply.status, reply.error["param"]) == (400, "service_tier")
    assert kind in reply.error["message"]


def test_a_flex_call_that_finds_no_idle_slot_is_refused_whole_and_streamed_alike(hasty: Service) -> None:
    with busy(hasty):
        for streamed in (False, True):
            reply = post(hasty.url + CHAT, {**FLEX, "stream": streamed})
            assert (reply.status, reply.error["code"]) == (429, "resource_unavailable")
            assert reply.error["param"] == "service_tier"
            assert 1 <= int(reply.headers["retry-after"]) <= 60
            assert "x-should-retry" not in reply.headers


def test_under_load_priority_calls_run_first_and_flex_calls_last(service: Service) -> None:
    def call(tier: str, number: int) -> socket.socket:
        body = {**SHORT, "service_tier": tier, "stream": True}
        return open_call(service.url + CHAT, body, {"x-request-id": f"{tier}-{number}"})

    with ExitStack() as stack:
        with busy(service):
            calls = {
                tier: [stack.enter_context(call(tier, number)) for number in range(2)]
                for tier in ("flex", "default", "priority")
            }
            # A call that may wait has its first event when it is queued, a flex call when it runs.
            for queued in (*calls["default"], *calls["priority"]):
                assert queued.recv(65536).startswith(b"HTTP/1.1 200 ")
            wait_until(lambda: service.metric("chasqui_calls_waiting") == 6)
        for each in itertools.chain(*calls.values()):
            assert "[DONE]" in read_until(each, "[DONE]")
    for tier, number in itertools.product(calls, range(2)):
        service.usage_record(f"{tier}-{number}")
    order = re.findall(rf'"chat call ended","request_id":"({"|".join(calls)})-\d"', service.output())
    assert order == ["priority"] * 2 + ["default"] * 2 + ["flex"] * 2


@pytest.mark.parametrize("sampling", [{}, {"seed": 1}], ids=["goes on", "begins again"])
def test_a_call_takes_the_slot_of_a_flex_call_which_then_runs_again_and_is_billed_once(
    service: Service, sampling: dict[str, int]
) -> None:
    long = {**FLEX, "max_tokens": 100, **sampling}
    expected = post(service.url + CHAT, long).json()
    before = service.metric("chasqui_calls_preempted_total")
    attempts = itertools.count(100 * len(sampling))
    with ThreadPoolExecutor(1) as pool:
        # On a machine that is busy the first call may have ended before the second one arrives.
        while service.metric("chasqui_calls_preempted_total") == before:
            attempt = next(attempts)
            assert attempt % 100 < 20
            preempted = pool.submit(post, service.url + CHAT, long, x_request_id=f"preempted-{attempt}")
            wait_until(lambda: service.metric("chasqui_calls_running") or preempted.done())  # noqa: B023 - called here
            assert post(service.url + CHAT, SHORT, x_request_id=f"urgent-{attempt}").status == 200
            answer = preempted.result().json()
    assert answer == expected | {"id": answer["id"], "created": answer["created"]}
    assert answer["usage"]["completion_tokens"] == 100
    service.usage_record(f"preempted-{attempt}")
    ended = re.findall(r'"chat call ended","request_id":"(\w+-\d+)"', service.output())
    assert ended.count(f"preempted-{attempt}") == 1
    assert ended.index(f"urgent-{attempt}") < ended.index(f"preempted-{attempt}")
