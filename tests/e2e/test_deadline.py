"""A caller's deadline, by either header and over either API: the call ends with an error, and its usage is recorded."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_status import rpc_status

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.http import open_stream, post
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Api = Callable[[Service, str, float, int], "Late"]

CHAT = "/v1/chat/completions"
LONG = 3000  # tokens, more than any limit here lets through


@dataclass(frozen=True, slots=True)
class Late:
    """How a call ended for its caller: `status` in the API's own terms, and whether a reason came with it."""

    status: str
    reason: str | None
    text: str


def over_rest(service: Service, request_id: str, seconds: float, tokens: int) -> Late:
    body = {**request(tokens), "stream": False}
    reply = post(service.url + CHAT, body, x_request_id=request_id, x_request_timeout=str(seconds))
    assert reply.headers["x-should-retry"] == "false"
    assert reply.status == 504
    return Late("DEADLINE_EXCEEDED", reply.error["code"].upper(), "")


def over_rest_streamed(service: Service, request_id: str, seconds: float, tokens: int) -> Late:
    body = {**request(tokens), "stream": True}
    reply = post(service.url + CHAT, body, x_request_id=request_id, x_request_timeout=str(seconds))
    if reply.status != 200:  # refused, before the stream began
        assert reply.status == 504
        return Late("DEADLINE_EXCEEDED", reply.error["code"].upper(), "")
    text = reply.body.decode()
    assert "[DONE]" not in text
    last = text.rstrip().split("\n\n")[-1]
    code = re.search(r'"code":"(\w+)"', last)
    assert last.startswith('data: {"error":')
    assert code is not None
    content = "".join(re.findall(r'"content":"((?:[^"\\]|\\.)*)"', text))
    return Late("DEADLINE_EXCEEDED", code[1].upper(), content)


def over_grpc(service: Service, request_id: str, seconds: float, tokens: int) -> Late:
    return call_over_grpc(service, tokens, (("x-request-id", request_id), ("x-request-timeout", str(seconds))), None)


def over_grpc_by_its_own_timeout(service: Service, request_id: str, seconds: float, tokens: int) -> Late:
    return call_over_grpc(service, tokens, (("x-request-id", request_id),), seconds)


def streamed_over_grpc(service: Service, request_id: str, seconds: float, tokens: int) -> Late:
    metadata = (("x-request-id", request_id), ("x-request-timeout", str(seconds)))
    return call_over_grpc(service, tokens, metadata, None, streamed=True)


def call_over_grpc(
    service: Service,
    tokens: int,
    metadata: tuple[tuple[str, str], ...],
    timeout: float | None,
    *,
    streamed: bool = False,
) -> Late:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    chat = chat_service_pb2.ChatRequest(model=REFERENCE_MODEL, messages=[message], max_tokens=tokens, ignore_eos=True)
    text = ""
    with grpc.insecure_channel(service.target) as channel:
        stub = chat_service_pb2_grpc.ChatServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            if streamed:
                stream = stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=chat), metadata=metadata)
                for part in stream:
                    text += "".join(event.delta.content for event in part.events)
            else:
                stub.Chat(chat, metadata=metadata, timeout=timeout)
    status = rpc_status.from_call(caught.value)
    reason = re.search(rb"[A-Z_]{6,}", status.details[0].value) if status is not None else None
    return Late(caught.value.code().name, reason[0].decode() if reason else None, text)


def request(tokens: int) -> dict[str, object]:
    return {
        "model": REFERENCE_MODEL,
        "messages": [{"role": "user", "content": "Hello!"}],
        "max_tokens": tokens,
        "ignore_eos": True,
    }


APIS = [over_rest, over_rest_streamed, over_grpc, over_grpc_by_its_own_timeout, streamed_over_grpc]


@pytest.fixture(params=["simulated", "llama-cpp"], scope="module")
def a_slot_each(request: pytest.FixtureRequest) -> Iterator[Service]:
    with Service(
        engine=request.param, simulated_rate=100, parallel=len(APIS), threads=1, context_length=4096, price=1000
    ) as service:
        yield service


def all_late(
    service: Service, what: str, tokens: int, begun: Callable[[dict[str, Any]], bool]
) -> list[tuple[Api, Late, dict[str, Any]]]:
    """A call over each API, all at once: the API, how the call ended for its caller, and its usage record.

    All records are `begun`: the calls have 2 s, and more on a machine that is too busy for that.
    """
    for seconds in (2.0, 6.0, 18.0):
        names = [f"{what}-{seconds:.0f}-{api.__name__}" for api in APIS]
        sent = time.time()
        with ThreadPoolExecutor(len(APIS)) as pool:
            calls = [pool.submit(api, service, name, seconds, tokens) for api, name in zip(APIS, names, strict=True)]
            ended = [call.result() for call in calls]
        records = records_of(service, names)
        if all(name in records and begun(records[name]) for name in names):
            found = [records[name] | {"way": arrival(records[name]) - sent} for name in names]
            return list(zip(APIS, ended, found, strict=True))
    raise TimeoutError(f"these have begun: {records}")


def records_of(service: Service, names: list[str]) -> dict[str, dict[str, Any]]:
    """The usage records of those of the calls that have one within some seconds."""
    end = time.monotonic() + 10
    found: dict[str, dict[str, Any]] = {}
    while len(found) < len(names) and time.monotonic() < end:
        lines = [json.loads(line) for line in service.lines() if '"chat call ended"' in line]
        found = {line["request_id"]: line for line in lines if line["request_id"] in names}
    return found


def arrival(record: dict[str, Any]) -> float:
    """When the call was at the server, at the latest; in seconds since 1970."""
    return datetime.fromisoformat(record["time"]).timestamp() - float(record["seconds"])


def outcomes(api: Api, record: dict[str, Any]) -> set[str]:
    """Those that the record of a late call may have.

    A client that keeps the time by itself leaves when its own clock says so. Of a call that was long on its way to the
    server, this is well before the server's own deadline.
    """
    return {"deadline", "cancelled"} if api is over_grpc_by_its_own_timeout and record["way"] > 0.05 else {"deadline"}


def test_a_call_that_runs_when_its_time_ends_is_ended_and_billed_so_far(a_slot_each: Service) -> None:
    for api, late, record in all_late(a_slot_each, "running", LONG, lambda record: record["completion_tokens"] > 9):
        assert (api, late.status) == (api, "DEADLINE_EXCEEDED")
        assert late.reason == "DEADLINE_EXCEEDED" or (api is over_grpc_by_its_own_timeout and late.reason is None)
        assert record["outcome"] in outcomes(api, record), (api, record)
        assert record["prompt_tokens"] > 0
        assert 0 < record["completion_tokens"] < LONG
        assert record["estimated_cost"] == (record["prompt_tokens"] + record["completion_tokens"]) * 1000 / 1e6
        assert bool(late.text) is ("streamed" in api.__name__)


def test_a_call_whose_time_ends_in_the_queue_is_dropped_before_it_costs_anything() -> None:
    # No call has ended here yet, so how long the wait will be cannot be estimated.
    with Service(engine="simulated", simulated_rate=20, parallel=1) as service:
        running = open_stream(service.url + CHAT, {**request(LONG), "stream": True}, {"x-request-id": "running"})
        for api, late, record in all_late(service, "queued", 5, lambda _: True):
            assert (api, late.status, late.text) == (api, "DEADLINE_EXCEEDED", "")
            assert record["outcome"] in outcomes(api, record), (api, record)
            assert (record["prompt_tokens"], record["completion_tokens"]) == (0, 0)
        running.close()
        assert service.usage_record("running")["outcome"] == "cancelled"
        assert post(service.url + CHAT, request(3)).json()["usage"]["completion_tokens"] == 3


def test_a_call_that_the_queue_cannot_serve_in_time_is_refused_without_being_accepted() -> None:
    with Service(engine="simulated", simulated_rate=20, parallel=1) as service:
        assert post(service.url + CHAT, request(40)).status == 200  # which takes 2 s
        running = open_stream(service.url + CHAT, {**request(LONG), "stream": True}, {"x-request-id": "running"})
        for api in APIS:
            late = api(service, f"hasty-{api.__name__}", 1.0, 5)
            assert (api, late.status, late.text) == (api, "DEADLINE_EXCEEDED", "")
        running.close()
        service.usage_record("running")
        assert '"hasty-' not in "".join(line for line in service.output().splitlines() if "chat call ended" in line)


def test_a_call_with_enough_time_is_answered(a_slot_each: Service) -> None:
    assert post(a_slot_each.url + CHAT, request(3), x_request_timeout="600").json()["usage"]["completion_tokens"] == 3
