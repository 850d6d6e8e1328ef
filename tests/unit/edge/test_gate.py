"""Without a valid key, no body is decoded; large bodies are decoded off the event loop."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import TYPE_CHECKING, Any, cast

import pytest
from starlette.requests import Request

from chasqui.v1 import model_service_pb2
from edge.endpoints.gate import MAX_WAITING_BYTES, Gate
from edge.http.call_options import CallOptions
from edge.openai.decode import decode_chat_request
from services.errors import DeadlineExceeded, InvalidApiKey, InvalidValue, Unavailable
from services.limits import MAX_REQUEST_ITEMS
from tests.support.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from starlette.types import Message

    from edge.upstream.client import Upstream

HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


class FakeUpstream:
    """Accepts the keys in `accepted`, and counts how often it is asked."""

    def __init__(self, *accepted: str) -> None:
        self.accepted = set(accepted)
        self.asked = 0
        self.given: dict[str, str] = {}
        self.failure: Exception | None = None
        self.seconds = 0.0  # until it answers
        self.given_up = 0  # of the questions

    async def list_models(self, options: CallOptions) -> model_service_pb2.ListModelsResponse:
        self.asked += 1
        self.given = dict(options.given)
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if self.failure is not None:
            raise self.failure
        if dict(options.given).get("authorization") not in self.accepted:
            raise InvalidApiKey("The call carries no valid key.")
        return model_service_pb2.ListModelsResponse()


class Body:
    """A request's body in parts; `read` counts those that have been received."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = parts
        self.read = 0

    async def receive(self) -> Message:
        part = self._parts[self.read]
        self.read += 1
        return {"type": "http.request", "body": part, "more_body": self.read < len(self._parts)}

    def request(self) -> Request:
        scope: dict[str, Any] = {"type": "http", "method": "POST", "headers": []}
        return Request(scope, self.receive)


def new_gate(upstream: FakeUpstream) -> Gate:
    return Gate(cast("Upstream", upstream))


def options(key: str) -> CallOptions:
    return CallOptions((("authorization", key),))


def forbidden(_: bytes) -> None:
    raise AssertionError("A body was decoded without a valid key.")


async def test_the_body_of_a_caller_without_a_valid_key_is_read_and_never_decoded() -> None:
    body = Body(b"{" * 100, b"not JSON", b"")
    with pytest.raises(InvalidApiKey):
        await new_gate(FakeUpstream("good")).decoded(body.request(), options("bad"), forbidden)
    assert body.read == 3


async def test_a_stranger_cannot_send_for_ever() -> None:
    body = Body(*[bytes(2**20)] * 100)
    with pytest.raises(InvalidApiKey):
        await new_gate(FakeUpstream()).decoded(body.request(), options("bad"), forbidden)
    assert body.read == 9


async def test_an_accepted_key_is_asked_about_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    upstream = FakeUpstream("good", "other")
    checked = new_gate(upstream)
    for key in ("good", "good", "other", "good"):
        assert await checked.decoded(Body(b"{}").request(), options(key), json.loads) == {}
    assert upstream.asked == 2
    now += 6.0
    upstream.accepted = {"other"}
    with pytest.raises(InvalidApiKey):
        await checked.decoded(Body(b"{}").request(), options("good"), forbidden)


@pytest.mark.parametrize(("key", "refused"), [("good", 0), ("bad", 20)])
async def test_calls_that_begin_at_once_with_one_key_ask_about_it_once(key: str, refused: int) -> None:
    upstream = FakeUpstream("good")
    gate = new_gate(upstream)
    given = CallOptions((("authorization", key), ("x-request-timeout", "1000")))
    bodies = [Body(json.dumps(HELLO).encode()) for _ in range(20)]
    results = await asyncio.gather(
        *(gate.decoded(body.request(), given, decode_chat_request) for body in bodies), return_exceptions=True
    )
    assert [isinstance(result, InvalidApiKey) for result in results].count(True) == refused
    assert upstream.asked == 1
    assert upstream.given == {"authorization": key}  # the deadline of one call is not that of the others


def test_a_busy_chat_server_is_waited_for_as_long_as_each_call_may_last() -> None:
    upstream = FakeUpstream("good")
    upstream.seconds = 600.0
    gate = new_gate(upstream)
    timeouts = ("10", "5000", "none", "")
    given = [CallOptions((*options("good").given, ("x-request-timeout", text))) for text in timeouts]

    async def calls() -> list[Any]:
        calls = (gate.decoded(Body(b"{}").request(), options, json.loads) for options in given)
        return await asyncio.gather(*calls, return_exceptions=True)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        late, *others = runner.run(calls())
    assert isinstance(late, DeadlineExceeded)
    assert others == [{}, {}, {}]
    assert (upstream.asked, upstream.given_up) == (1, 0)


def test_a_question_that_nobody_waits_for_any_more_is_given_up_and_asked_again_for_the_next() -> None:
    upstream = FakeUpstream("good")
    upstream.seconds = 600.0
    gate = new_gate(upstream)

    async def calls() -> object:
        with pytest.raises(DeadlineExceeded):
            hurried = CallOptions((*options("good").given, ("x-request-timeout", "10")))
            await gate.decoded(Body(b"{}").request(), hurried, forbidden)
        return await gate.decoded(Body(b"{}").request(), options("good"), json.loads)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(calls()) == {}
    assert (upstream.asked, upstream.given_up) == (2, 1)


async def test_a_caller_who_disconnects_while_its_key_is_checked_takes_the_answer_from_nobody() -> None:
    upstream = FakeUpstream("good")
    gate = new_gate(upstream)
    first, second = (asyncio.ensure_future(gate.decoded(Body(b"{}").request(), options("good"), len)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 2
    assert upstream.asked == 1


async def test_a_refused_key_is_asked_about_every_time() -> None:
    upstream = FakeUpstream()
    checked = new_gate(upstream)
    for _ in range(2):
        with pytest.raises(InvalidApiKey):
            await checked.decoded(Body(b"{}").request(), options("bad"), forbidden)
    upstream.accepted = {"bad"}
    assert await checked.decoded(Body(b"{}").request(), options("bad"), json.loads) == {}
    assert upstream.asked == 3


async def test_the_memory_of_keys_is_bounded() -> None:
    upstream = FakeUpstream(*map(str, range(2000)))
    checked = new_gate(upstream)
    for key in range(2000):
        await checked.decoded(Body(b"{}").request(), options(str(key)), json.loads)
    assert len(checked._accepted) == 1024


async def test_a_chat_server_that_cannot_be_asked_has_not_begun_the_call() -> None:
    upstream = FakeUpstream("good")
    upstream.failure = Unavailable("Gone.", reason="UPSTREAM_UNAVAILABLE", retry_after=1.0)
    with pytest.raises(Unavailable) as caught:
        await new_gate(upstream).decoded(Body(b"{}").request(), options("good"), forbidden)
    assert caught.value.not_admitted


async def test_a_small_body_is_decoded_at_once_and_a_large_one_off_the_loop() -> None:
    checked = new_gate(FakeUpstream("good"))

    def thread(_: bytes) -> threading.Thread:
        return threading.current_thread()

    main = threading.current_thread()
    assert await checked.decoded(Body(bytes(1000)).request(), options("good"), thread) is main
    large = [await checked.decoded(Body(bytes(2**20)).request(), options("good"), thread) for _ in range(2)]
    assert large[0] is large[1] is not main


async def test_large_bodies_wait_for_the_decoder_up_to_a_limit_in_bytes() -> None:
    checked = new_gate(FakeUpstream("good"))
    decoded = threading.Event()
    size = 8 * 2**20
    waiting = [asyncio.create_task(checked.translated(size, decoded.wait)) for _ in range(MAX_WAITING_BYTES // size)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as caught:
        await checked.translated(size, decoded.wait)
    assert (caught.value.reason, caught.value.retry_after) == ("OVERLOADED", 1.0)
    assert await checked.translated(1000, lambda: True)
    waiting[-1].cancel()
    decoded.set()
    await asyncio.wait(waiting)
    assert await checked.translated(size, decoded.wait)


MESSAGE = {"role": "user", "content": "Hi"}
PART = {"type": "text", "text": "Hi"}
CALL = {"id": "a", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [MESSAGE] * (MAX_REQUEST_ITEMS + 1)}, "messages"),
        ({"messages": [{"role": "user", "content": [PART] * MAX_REQUEST_ITEMS}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "tool_calls": [CALL] * MAX_REQUEST_ITEMS}]}, "messages[0].tool_calls"),
        ({"tools": [TOOL] * MAX_REQUEST_ITEMS}, "tools"),
    ],
)
def test_messages_parts_calls_and_tools_are_counted_before_they_are_decoded(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        decode_chat_request(json.dumps(HELLO | fields).encode())
    assert caught.value.param == param
    assert f"{MAX_REQUEST_ITEMS:,}" in caught.value.message


def test_as_many_items_as_are_allowed_are_decoded() -> None:
    parts = [PART] * (MAX_REQUEST_ITEMS - 1)
    decoded = decode_chat_request(json.dumps(HELLO | {"messages": [{"role": "user", "content": parts}]}).encode())
    assert len(decoded.body.messages[0].content or ()) == MAX_REQUEST_ITEMS - 1
