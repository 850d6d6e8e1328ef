"""The whole edge over a real connection to a scripted chat server: what callers send, and what they get."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import grpc
import pytest

import services
from chasqui.v1 import chat_pb2
from edge.app import build_app
from edge.endpoints.health import Health
from edge.http.event_stream import KeepAlive
from services.errors import (
    ChasquiError,
    ContextLengthExceeded,
    DeadlineExceeded,
    EngineFailed,
    InvalidApiKey,
    InvalidValue,
    ModelNotFound,
    Unavailable,
    UnsupportedParameter,
)
from services.settings import MAX_BODY_BYTES
from services.telemetry.spans import untraced
from tests.support import events
from tests.support.asgi import Answer, Exchange, GatedSend
from tests.support.chat_server import FakeChatServer, running_chat_server
from tests.support.watched_upstream import WatchedUpstream
from tests.support.writers import events_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from starlette.applications import Starlette

    from chasqui.v1.stream_pb2 import StreamEvent
    from edge.upstream.transport import Transport

GOLDEN = Path(__file__).parent / "golden"
CHAT = "/v1/chat/completions"
MEBIBYTE = b" " * 2**20
HELLO: dict[str, Any] = {
    "model": "meta-llama/Meta-Llama-3.1-8B-Instruct",
    "messages": [{"role": "user", "content": "Hello!"}],
}


@dataclass
class Edge:
    """An edge and the server behind it."""

    app: Starlette
    server: FakeChatServer
    upstream: WatchedUpstream
    health: Health
    keep_alive: KeepAlive

    def begin(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Sequence[bytes | float] = (b"",),
        gate: GatedSend | None = None,
    ) -> Exchange:
        return Exchange(self.app, method, target, headers=headers, body=body, gate=gate)

    def begin_chat(
        self, headers: Mapping[str, str] | None = None, *, gate: GatedSend | None = None, **fields: Any
    ) -> Exchange:
        return self.begin("POST", CHAT, headers=headers, body=[json.dumps(HELLO | fields).encode()], gate=gate)

    async def chat(self, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
        return await self.begin_chat(headers, **fields).answer()

    async def get(self, target: str, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.begin("GET", target, headers=headers).answer()


@pytest.fixture(params=["relay", "stream-chat"])
async def edge(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Edge]:
    async with running_chat_server(tmp_path) as server:
        upstream = WatchedUpstream(server.address, server.address if request.param == "relay" else "")
        health, keep_alive = Health(upstream), KeepAlive(0.001, 60.0)
        connection = asyncio.create_task(upstream.transport.run())
        try:
            await connected(upstream.transport)
            yield Edge(build_app(upstream, health, keep_alive, untraced()), server, upstream, health, keep_alive)
        finally:
            await cancel(connection)
            await upstream.close()


async def connected(transport: Transport, state: bool = True) -> None:
    """Wait until the transport is connected, or is not."""
    while transport.connected is not state:  # noqa: ASYNC110 - no event to wait for
        await asyncio.sleep(0.001)


async def cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def error_of(answer: Answer) -> dict[str, Any]:
    """The error in an answer; every answer that is an error has the envelope."""
    assert answer.headers["content-type"] == "application/json"
    envelope = answer.json()
    assert envelope.keys() == {"error"}
    error: dict[str, Any] = envelope["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return error


HELLO_EVENTS = [
    events.started(),
    events.delta("¡Hola, "),
    events.delta("chasqui!\n"),
    events.delta("🏃"),
    events.finish(),
    events.completed(),
]


@dataclass(frozen=True)
class Transcript:
    """A request's fields, and the events and the failure that answer it."""

    fields: dict[str, Any]
    events: list[StreamEvent]
    failure: ChasquiError | None = None


TRANSCRIPTS = {
    "one-answer": Transcript({}, HELLO_EVENTS),
    "include-usage": Transcript({"stream_options": {"include_usage": True}}, HELLO_EVENTS),
    "continuous-usage": Transcript(
        {"stream_options": {"include_usage": True, "continuous_usage_stats": True}},
        [
            events.counted(events.started(), 0),
            events.counted(events.delta("¡Hola, "), 2),
            events.counted(events.delta("chasqui!"), 3),
            events.counted(events.finish(), 3),
            events.completed(),
        ],
    ),
    "two-answers": Transcript(
        {"n": 2},
        [
            events.started(),
            events.delta("First", 1),
            events.delta("Zer", 0),
            events.finish(1, chat_pb2.FINISH_REASON_LENGTH),
            events.delta("oth", 0),
            events.finish(0),
            events.completed(),
        ],
    ),
    "two-answers-include-usage": Transcript(
        {"n": 2, "stream_options": {"include_usage": True}},
        [
            events.started(),
            events.delta("Zeroth", 0),
            events.finish(0),
            events.delta("First", 1),
            events.finish(1),
            events.completed(),
        ],
    ),
    "stop-sequence": Transcript(
        {"stop": "END"},
        [events.started(), events.delta("The "), events.finish(stop_reason="END"), events.completed()],
    ),
    "no-tokens": Transcript(
        {"max_tokens": 0},
        [events.started(), events.finish(0, chat_pb2.FINISH_REASON_LENGTH), events.completed(0)],
    ),
    "failure": Transcript(
        {}, [events.started(), events.delta("Hel")], EngineFailed("The engine failed while it was answering.")
    ),
}


@pytest.mark.parametrize("together", [False, True], ids=["one event a message", "all events in one message"])
@pytest.mark.parametrize("name", TRANSCRIPTS)
async def test_a_streamed_answer_is_byte_for_byte_the_transcript(edge: Edge, name: str, together: bool) -> None:
    transcript = TRANSCRIPTS[name]
    edge.server.chat.batches = [transcript.events] if together else [[event] for event in transcript.events]
    edge.server.chat.failure = transcript.failure
    answer = await edge.chat(stream=True, **transcript.fields)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.body == (GOLDEN / f"{name}.sse").read_bytes()


@pytest.mark.parametrize("stream", [False, True], ids=["unstreamed", "streamed"])
async def test_a_failure_of_an_answer_names_the_callers_field_in_a_stream_too(edge: Edge, stream: bool) -> None:
    edge.server.chat.batches = [[events.started(), events.delta("Hel")]]
    param = "response_format.json_schema.schema"
    edge.server.chat.failure = UnsupportedParameter(f"{param}: the schema became too complex.", param=param)
    answer = await edge.chat(stream=stream, guided_json={"type": "object"})
    assert b'"param":"guided_json"' in answer.body
    assert b'"message":"guided_json: the schema became too complex."' in answer.body


def test_every_transcript_is_compared() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(TRANSCRIPTS)


@pytest.mark.parametrize("path", [CHAT, "/v1/openai/chat/completions"])
@pytest.mark.parametrize("fields", [{}, {"stream": False}, {"stream": None}])
async def test_an_unstreamed_answer_is_one_completion(edge: Edge, path: str, fields: dict[str, Any]) -> None:
    edge.server.chat.unstreamed = True
    answer = await edge.begin("POST", path, body=[json.dumps(HELLO | fields).encode()]).answer()
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["server-timing"].startswith("queue;dur=0.500, tokenize;dur=1.250")
    completion = answer.json()
    assert completion["object"] == "chat.completion"
    assert completion["choices"][0]["message"]["content"] == "Hello!"
    assert completion["usage"]["total_tokens"] == 14


@pytest.mark.parametrize("stream", [False, True], ids=["unstreamed", "streamed"])
async def test_an_answer_may_be_larger_than_the_rpc_librarys_default_message(edge: Edge, stream: bool) -> None:
    text = "word " * 2**20
    edge.server.chat.response = events.response(events.choice(text))
    edge.server.chat.batches = [[events.started(), events.delta(text), events.finish(), events.completed()]]
    answer = await edge.chat(stream=stream)
    assert answer.status == 200
    assert text.encode() in answer.body


async def test_both_prefixes_stream(edge: Edge) -> None:
    body = [json.dumps(HELLO | {"stream": True}).encode()]
    answers = [
        await edge.begin("POST", f"{prefix}/chat/completions", body=body).answer() for prefix in ("/v1", "/v1/openai")
    ]
    assert answers[0] == answers[1]
    assert answers[0].body.endswith(b"data: [DONE]\n\n")


async def test_the_request_reaches_the_server_in_the_contracts_words(edge: Edge) -> None:
    await edge.chat(temperature=0.5, max_tokens=7, stop="END")
    await edge.chat(temperature=0.5, max_tokens=7, stop="END", stream=True)
    unstreamed, streamed = (call.request for call in edge.server.chat.calls)
    assert unstreamed == streamed
    assert unstreamed.model == HELLO["model"]
    assert unstreamed.messages[0].content[0].text == "Hello!"
    assert (unstreamed.sampling.temperature, unstreamed.max_tokens, list(unstreamed.stop)) == (0.5, 7, ["END"])


async def test_a_body_may_come_in_parts(edge: Edge) -> None:
    data = json.dumps(HELLO, ensure_ascii=False).encode()
    answer = await edge.begin("POST", CHAT, body=[data[:5], b"", data[5:20], data[20:]]).answer()
    assert answer.status == 200


REFUSALS = [
    (InvalidValue("top_k is 5000.", param="top_k"), 400, "invalid_value", {}),
    (ContextLengthExceeded("200 tokens, but 100 fit.", param="messages"), 400, "context_length_exceeded", {}),
    (InvalidApiKey("The call carries no key."), 401, "invalid_api_key", {"www-authenticate": "Bearer"}),
    (ModelNotFound("There is no model 'x'.", param="model"), 404, "model_not_found", {}),
    (EngineFailed("It broke."), 500, "engine_failed", {"x-should-retry": "false"}),
    (Unavailable("Full.", reason="OVERLOADED", retry_after=2.5), 503, "overloaded", {"retry-after": "3"}),
    (DeadlineExceeded("Too late."), 504, "deadline_exceeded", {"x-should-retry": "false"}),
]


@pytest.mark.parametrize("stream", [False, True], ids=["unstreamed", "streamed"])
@pytest.mark.parametrize(("failure", "status", "code", "headers"), REFUSALS, ids=[code for _, _, code, _ in REFUSALS])
async def test_a_refusal_before_the_stream_keeps_its_status_and_is_json(
    edge: Edge, failure: ChasquiError, status: int, code: str, headers: dict[str, str], stream: bool
) -> None:
    edge.server.chat.batches = []
    edge.server.chat.failure = failure
    answer = await edge.chat(stream=stream)
    assert answer.status == status
    error = error_of(answer)
    assert (error["message"], error["param"], error["code"]) == (failure.message, failure.param, code)
    special = ("www-authenticate", "x-should-retry", "retry-after")
    assert {name: answer.headers[name] for name in special if name in answer.headers} == headers


# On the Relay a call cannot end with a status of its own.
@pytest.mark.parametrize("edge", ["stream-chat"], indirect=True)
@pytest.mark.parametrize("stream", [False, True], ids=["unstreamed", "streamed"])
@pytest.mark.parametrize("code", [grpc.StatusCode.UNKNOWN, grpc.StatusCode.ABORTED])
async def test_a_status_without_our_details_is_a_server_error_without_its_words(
    edge: Edge, code: grpc.StatusCode, stream: bool
) -> None:
    edge.server.chat.batches = []
    edge.server.chat.failure = code
    answer = await edge.chat(stream=stream)
    assert answer.status == 500
    assert "not for callers" not in error_of(answer)["message"]


@pytest.mark.parametrize(
    "failure",
    [EngineFailed("It broke."), DeadlineExceeded("Too late."), grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN],
)
async def test_a_failure_inside_the_stream_is_its_last_event_and_no_done_follows(
    edge: Edge, failure: ChasquiError | grpc.StatusCode
) -> None:
    edge.server.chat.batches = [[events.started()], [events.delta("Hel")]]
    edge.server.chat.failure = failure
    answer = await edge.chat(stream=True)
    assert answer.status == 200
    assert b"[DONE]" not in answer.body
    last = answer.body.split(b"\n\n")[-2]
    assert json.loads(last.removeprefix(b"data: "))["error"]["type"] == "server_error"


async def test_a_server_that_goes_away_inside_the_stream_ends_it_with_an_error(edge: Edge) -> None:
    edge.server.chat.batches = [[events.started()]]
    edge.server.chat.hangs = True
    exchange = edge.begin_chat(stream=True)
    await edge.server.chat.begun.wait()
    start, role = await exchange.next(), await exchange.next()
    await edge.server.stop()
    error = await exchange.next()
    assert await exchange.next() is None
    assert start is not None
    assert role is not None
    assert error is not None
    assert (start["status"], role["more_body"], error["more_body"]) == (200, True, False)
    assert error["body"].startswith(b'data: {"error":')


async def test_what_belongs_to_the_call_is_forwarded_and_nothing_else(edge: Edge) -> None:
    headers = {
        "Authorization": "Bearer key-1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "vendor=1",
        "X-Request-Id": "request:1",
        "x-request-timeout": "3600",
        "x-client-address": "10.0.0.1",
        "cookie": "a=b",
        "x-ignored": "c",
    }
    await edge.chat(headers)
    await edge.chat(headers, stream=True)
    await edge.get("/v1/models", headers)
    await edge.get("/v1/models/chasqui-demo", headers)
    # The first call asked about the key, for every call that had begun by then: their deadlines are their own.
    key_check, *models = edge.server.models.metadata
    assert "x-request-timeout" not in key_check
    received = [*(call.metadata for call in edge.server.chat.calls), *models]
    assert len(received) == 4
    for metadata in received:
        assert 3500 < float(metadata["x-request-timeout"]) < 3600
    received.append(key_check)
    for metadata in received:
        assert metadata["authorization"] == "Bearer key-1"
        assert metadata["traceparent"] == headers["traceparent"]
        assert metadata["tracestate"] == "vendor=1"
        assert metadata["x-request-id"] == "request:1"
        assert metadata["x-client-address"] == "10.0.0.1"
        assert not {"cookie", "x-ignored"} & metadata.keys()


async def test_headers_that_grpc_cannot_carry_do_not_fail_the_call(edge: Edge) -> None:
    assert (await edge.chat({"x-request-id": "ñandú", "authorization": "Bearer \x01"})).status == 200
    metadata = edge.server.chat.calls[0].metadata
    assert "authorization" not in metadata
    assert UUID(metadata["x-request-id"])  # one of ours in its place


async def test_a_key_too_long_for_the_chat_server_is_not_our_failure(edge: Edge) -> None:
    assert (await edge.chat({"authorization": "Bearer " + "k" * 60_000})).status == 200
    answer = await edge.chat({"authorization": "Bearer " + "k" * 80_000})
    assert 400 <= answer.status < 500


@pytest.mark.parametrize("stream", [False, True], ids=["unstreamed", "streamed"])
@pytest.mark.parametrize("text", ["soon", "-1", "0", "inf", "nan"])
async def test_a_time_that_is_none_is_forwarded_as_it_is_for_the_server_to_judge(
    edge: Edge, text: str, stream: bool
) -> None:
    assert (await edge.chat({"x-request-timeout": text}, stream=stream)).status == 200
    (call,) = edge.server.chat.calls
    assert call.metadata["x-request-timeout"] == text
    assert call.remaining is None


@pytest.mark.parametrize("stream", [False, True], ids=["unstreamed", "streamed"])
async def test_time_that_a_slow_body_took_is_not_given_to_the_server(edge: Edge, stream: bool) -> None:
    data = json.dumps(HELLO | {"stream": stream}).encode()
    body: list[bytes | float] = [data[:5], 0.05, data[5:]]
    answer = await edge.begin("POST", CHAT, headers={"x-request-timeout": "3600"}, body=body).answer()
    assert answer.status == 200
    assert 3500 < float(edge.server.chat.calls[0].metadata["x-request-timeout"]) <= 3599.95


async def test_a_body_that_takes_all_of_the_time_is_answered_504_and_goes_no_further(edge: Edge) -> None:
    data = json.dumps(HELLO).encode()
    body: list[bytes | float] = [data[:5], 0.05, data[5:]]
    answer = await edge.begin("POST", CHAT, headers={"x-request-timeout": "0.01"}, body=body).answer()
    assert (answer.status, answer.headers["x-should-retry"]) == (504, "false")
    assert edge.server.chat.calls == []


@pytest.mark.parametrize("stream", [False, True], ids=["unstreamed", "streamed"])
async def test_without_such_a_header_the_call_has_no_time_limit(edge: Edge, stream: bool) -> None:
    await edge.chat(stream=stream)
    (call,) = edge.server.chat.calls
    assert "x-request-timeout" not in call.metadata
    assert call.remaining is None


@pytest.mark.parametrize("stream", [False, True], ids=["unstreamed", "streamed"])
async def test_nobody_waits_for_a_hang_up_any_more_when_only_the_end_is_left(edge: Edge, stream: bool) -> None:
    exchange = edge.begin_chat(stream=stream)
    await exchange.answer()
    assert exchange.watched is False


async def test_a_hang_up_cancels_an_unstreamed_call_and_nothing_is_answered(edge: Edge) -> None:
    edge.server.chat.hangs = True
    exchange = edge.begin_chat()
    await edge.server.chat.begun.wait()
    exchange.hang_up()
    assert await exchange.next() is None
    await edge.server.chat.cancelled.wait()


async def test_a_hang_up_before_the_stream_cancels_the_call_and_nothing_is_answered(edge: Edge) -> None:
    edge.server.chat.batches = []
    edge.server.chat.hangs = True
    exchange = edge.begin_chat(stream=True)
    await edge.server.chat.begun.wait()
    exchange.hang_up()
    assert await exchange.next() is None
    await edge.server.chat.cancelled.wait()


async def test_a_hang_up_inside_the_stream_cancels_the_call_and_nothing_more_is_written(edge: Edge) -> None:
    edge.server.chat.batches = [[events.started()], [events.delta("Hel")]]
    edge.server.chat.hangs = True
    exchange = edge.begin_chat(stream=True)
    written = [await exchange.next() for _ in range(3)]
    exchange.hang_up()
    assert await exchange.next() is None
    await edge.server.chat.cancelled.wait()
    assert None not in written


async def test_a_hang_up_while_a_write_waits_for_its_reader_cancels_the_call(edge: Edge) -> None:
    edge.server.chat.batches = [[events.started()]]
    edge.server.chat.hangs = True
    gate = GatedSend()
    gate.shut()
    exchange = edge.begin_chat(gate=gate, stream=True)
    await gate.begun.wait()
    exchange.hang_up()
    assert await exchange.next() is None
    await edge.server.chat.cancelled.wait()


@pytest.mark.parametrize("stream", [False, True], ids=["unstreamed", "streamed"])
async def test_a_request_that_is_cancelled_from_outside_cancels_its_call_and_stays_cancelled(
    edge: Edge, stream: bool
) -> None:
    edge.server.chat.batches = []
    edge.server.chat.hangs = True
    exchange = edge.begin_chat(stream=stream)
    await edge.server.chat.begun.wait()
    exchange.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange.end()
    await edge.server.chat.cancelled.wait()


async def test_a_hang_up_inside_the_body_starts_no_call(edge: Edge) -> None:
    exchange = edge.begin("POST", CHAT, body=[])
    exchange.hang_up()
    assert await exchange.next() is None
    assert edge.server.chat.calls == []


@pytest.mark.parametrize("path", ["/tokenize", "/detokenize"])
async def test_a_hang_up_inside_a_token_request_is_no_failure(edge: Edge, path: str) -> None:
    exchange = edge.begin("POST", path, body=[])
    exchange.hang_up()
    answer = await exchange.next()
    assert answer is not None
    assert answer["status"] == 499


async def test_one_hang_up_leaves_other_calls_alone(edge: Edge) -> None:
    edge.server.chat.batches = [[events.started()]]
    edge.server.chat.hangs = True
    leaving, staying = edge.begin_chat(stream=True), edge.begin_chat(stream=True)
    for exchange in (leaving, leaving, staying, staying):
        assert await exchange.next() is not None
    leaving.hang_up()
    await leaving.end()
    await edge.server.chat.cancelled.wait()
    edge.server.chat.hangs = False
    edge.server.chat.batches = [[events.started(), events.finish(), events.completed()]]
    assert (await edge.chat(stream=True)).status == 200
    staying.hang_up()
    await staying.end()


async def test_a_silent_stream_gets_comments_between_whole_events(edge: Edge) -> None:
    edge.server.chat.batches = [[events.started()]]
    edge.server.chat.hangs = True
    ticker = asyncio.create_task(edge.keep_alive.run())
    exchange = edge.begin_chat(stream=True)
    messages = [await exchange.next() for _ in range(5)]
    bodies = [message["body"] for message in messages if message is not None and "body" in message]
    assert bodies[1:] == [b": keep-alive\n\n"] * 3
    exchange.hang_up()
    await exchange.end()
    await cancel(ticker)


async def test_a_silent_stream_of_messages_gets_pings(edge: Edge) -> None:
    edge.server.chat.batches = [[events.started()]]
    edge.server.chat.hangs = True
    ticker = asyncio.create_task(edge.keep_alive.run())
    body = [json.dumps(HELLO | {"max_tokens": 5, "stream": True}).encode()]
    exchange = edge.begin("POST", "/v1/messages", body=body)
    messages = [await exchange.next() for _ in range(5)]
    bodies = [message["body"] for message in messages if message is not None and "body" in message]
    assert bodies[0].startswith(b"event: message_start\n")
    assert bodies[1:] == [b'event: ping\ndata: {"type":"ping"}\n\n'] * 3
    exchange.hang_up()
    await exchange.end()
    await cancel(ticker)


@pytest.mark.parametrize(
    ("path", "body", "last"),
    [
        ("/v1/responses", {"model": "m", "input": "Hi"}, "response.failed"),
        ("/v1/messages", HELLO | {"max_tokens": 5}, "error"),
    ],
)
async def test_a_stream_of_another_api_that_fails_ends_with_its_event(
    edge: Edge, path: str, body: dict[str, Any], last: str
) -> None:
    edge.server.chat.batches = [[events.started(), events.delta("Hel")]]
    edge.server.chat.failure = EngineFailed("The engine failed while it was answering.")
    answer = await edge.begin("POST", path, body=[json.dumps(body | {"stream": True}).encode()]).answer()
    name, event = events_in(answer.body)[-1]
    assert name == event["type"] == last
    assert "The engine failed while it was answering." in json.dumps(event)


async def test_a_stream_that_has_ended_gets_no_more_comments(edge: Edge) -> None:
    ended = edge.begin_chat(stream=True)
    await ended.answer()
    edge.server.chat.batches = [[events.started()]]
    edge.server.chat.hangs = True
    ticker = asyncio.create_task(edge.keep_alive.run())
    silent = edge.begin_chat(stream=True)
    for _ in range(5):  # headers, the role, and three ticks
        assert await silent.next() is not None
    silent.hang_up()
    await silent.end()
    await cancel(ticker)
    assert ended.late == []


async def test_no_comment_comes_before_the_headers_of_a_stream(edge: Edge) -> None:
    edge.server.chat.batches = []
    edge.server.chat.hangs = True
    ticker = asyncio.create_task(edge.keep_alive.run())
    waiting = edge.begin_chat(stream=True)
    await edge.server.chat.begun.wait()
    edge.server.chat.batches = [[events.started()]]
    silent = edge.begin_chat(stream=True)
    for _ in range(4):  # headers, the role, and two ticks
        assert await silent.next() is not None
    for exchange in (waiting, silent):
        exchange.hang_up()
    assert await waiting.next() is None
    await silent.end()
    await cancel(ticker)


@pytest.mark.parametrize("stream", [False, True], ids=["unstreamed", "streamed"])
async def test_unknown_fields_are_named_in_a_header(edge: Edge, stream: bool) -> None:
    messages = [{"role": "user", "content": "Hi", "name": "Ann"}]
    answer = await edge.chat(stream=stream, zeta=1, alpha=None, metadata={"a": "b"}, messages=messages)
    assert answer.status == 200
    assert answer.headers["x-ignored-parameters"] == "messages[0].name, zeta"


@pytest.mark.parametrize("stream", [False, True], ids=["unstreamed", "streamed"])
async def test_without_unknown_fields_there_is_no_such_header(edge: Edge, stream: bool) -> None:
    assert "x-ignored-parameters" not in (await edge.chat(stream=stream)).headers


@pytest.mark.parametrize("stream", [False, True], ids=["unstreamed", "streamed"])
@pytest.mark.parametrize("name", ["温度", "a\r\nset-cookie: b", "a\0", "\x7f"], ids=ascii)
async def test_unknown_fields_whose_names_no_header_can_carry_do_not_fail_the_call(
    edge: Edge, name: str, stream: bool
) -> None:
    answer = await edge.chat(None, stream=stream, **{name: 1})
    assert answer.status == 200
    value = answer.headers["x-ignored-parameters"]
    assert value.isascii()
    assert value.isprintable()


async def test_however_many_fields_are_unknown_the_header_stays_below_a_proxys_limit(edge: Edge) -> None:
    answer = await edge.chat(None, **{f"unknown_{index}": 1 for index in range(10_000)})
    assert answer.status == 200
    assert len(answer.headers["x-ignored-parameters"]) < 60 * 1024  # Envoy's default for all headers together


@pytest.mark.parametrize("target", ["/", "/v1", "/v1/nothing", "/v2/chat/completions", "/chat/completions"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_path_that_does_not_exist_is_a_404_in_the_envelope(edge: Edge, method: str, target: str) -> None:
    answer = await edge.begin(method, target).answer()
    assert answer.status == 404
    assert error_of(answer)["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "target"), [("GET", CHAT), ("DELETE", "/v1/models/m"), ("POST", "/v1/models"), ("PUT", "/readyz")]
)
async def test_a_method_that_is_not_allowed_is_a_405_in_the_envelope(edge: Edge, method: str, target: str) -> None:
    answer = await edge.begin(method, target).answer()
    assert answer.status == 405
    assert error_of(answer)["code"] == "method_not_allowed"
    assert answer.headers["allow"]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-encoding": "gzip"},
    ],
)
async def test_a_body_that_is_not_plain_json_is_a_415_in_the_envelope(edge: Edge, headers: dict[str, str]) -> None:
    answer = await edge.chat(headers)
    assert answer.status == 415
    assert error_of(answer)["code"] == "unsupported_media_type"
    assert edge.server.chat.calls == []


@pytest.mark.parametrize(
    "headers",
    [{}, {"content-type": "Application/JSON; charset=utf-8"}, {"content-encoding": "identity"}],
)
async def test_a_body_that_is_plain_json_in_other_words_is_taken(edge: Edge, headers: dict[str, str]) -> None:
    assert (await edge.chat(headers)).status == 200


async def test_a_chunked_body_is_counted_as_it_comes(edge: Edge) -> None:
    exchange = edge.begin("POST", CHAT, body=[MEBIBYTE] * (MAX_BODY_BYTES // len(MEBIBYTE)) + [b" "])
    answer = await exchange.answer()
    assert answer.status == 413
    assert error_of(answer)["code"] == "request_too_large"
    assert edge.server.chat.calls == []


async def test_a_body_that_is_too_large_is_read_to_its_end_so_that_its_sender_sees_the_answer(edge: Edge) -> None:
    exchange = edge.begin("POST", CHAT, body=[MEBIBYTE] * (2 * MAX_BODY_BYTES // len(MEBIBYTE)))
    assert (await exchange.answer()).status == 413
    assert exchange.parts_left == []


async def test_a_body_without_end_is_not_read_to_its_end(edge: Edge) -> None:
    exchange = edge.begin("POST", CHAT, body=[MEBIBYTE] * (10 * MAX_BODY_BYTES // len(MEBIBYTE)))
    assert (await exchange.answer()).status == 413
    assert exchange.parts_left != []


async def test_a_body_of_exactly_the_limit_is_taken(edge: Edge) -> None:
    data = json.dumps(HELLO).encode()
    answer = await edge.begin("POST", CHAT, body=[data, b" " * (MAX_BODY_BYTES - len(data))]).answer()
    assert answer.status == 200


@pytest.mark.parametrize("stream", [False, True], ids=["unstreamed", "streamed"])
async def test_a_prompt_as_large_as_a_body_can_be_reaches_the_server(edge: Edge, stream: bool) -> None:
    text = "word " * ((MAX_BODY_BYTES - 1000) // 5)
    answer = await edge.chat(stream=stream, messages=[{"role": "user", "content": text}])
    assert answer.status == 200
    assert edge.server.chat.calls[0].request.messages[0].content[0].text == text


@pytest.mark.parametrize(
    ("data", "param"), [(b"", None), (b"{", None), (b'{"model": "m"}', "messages"), (b'{"model": 1}', "model")]
)
async def test_a_malformed_body_is_a_400_in_the_envelope(edge: Edge, data: bytes, param: str | None) -> None:
    answer = await edge.begin("POST", CHAT, body=[data]).answer()
    assert answer.status == 400
    assert error_of(answer)["param"] == param
    assert edge.server.chat.calls == []


@pytest.mark.parametrize("prefix", ["/v1", "/v1/openai"])
async def test_the_models_are_listed(edge: Edge, prefix: str) -> None:
    answer = await edge.get(f"{prefix}/models")
    assert answer.status == 200
    assert answer.json()["object"] == "list"
    assert [model["id"] for model in answer.json()["data"]] == [events.MODEL]


@pytest.mark.parametrize("prefix", ["/v1", "/v1/openai"])
@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("chasqui-demo", "chasqui-demo"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "meta-llama/Meta-Llama-3.1-8B-Instruct"),
        ("meta-llama%2FMeta-Llama-3.1-8B-Instruct", "meta-llama/Meta-Llama-3.1-8B-Instruct"),
    ],
)
async def test_a_model_is_found_by_its_id_or_an_alias_with_slashes_raw_or_escaped(
    edge: Edge, prefix: str, target: str, name: str
) -> None:
    answer = await edge.get(f"{prefix}/models/{target}")
    assert answer.status == 200
    assert answer.json()["id"] == events.MODEL
    assert edge.server.models.ids == [name]


@pytest.mark.parametrize("name", ["nobody", "org/nobody", "a/b/c"])
async def test_a_model_that_is_not_served_is_a_404_with_its_own_code(edge: Edge, name: str) -> None:
    answer = await edge.get(f"/v1/models/{name}")
    assert answer.status == 404
    assert error_of(answer)["code"] == "model_not_found"


async def test_the_process_is_alive_whether_or_not_the_server_is(edge: Edge) -> None:
    await edge.server.stop()
    assert (await edge.get("/healthz")).status == 200


async def test_readiness_follows_the_health_of_the_server(edge: Edge) -> None:
    watcher = asyncio.create_task(edge.upstream.watch_health())
    await edge.upstream.is_serving.wait()
    assert (await edge.get("/readyz")).status == 200
    await edge.server.set_health(serving=False)
    await edge.upstream.is_not_serving.wait()
    answer = await edge.get("/readyz")
    assert answer.status == 503
    assert error_of(answer)["code"] == "not_ready"
    await edge.server.set_health(serving=True)
    await edge.upstream.is_serving.wait()
    assert (await edge.get("/readyz")).status == 200
    await cancel(watcher)


async def test_readiness_is_lost_with_the_connection_and_comes_back_with_the_server(edge: Edge, tmp_path: Path) -> None:
    watcher = asyncio.create_task(edge.upstream.watch_health())
    await edge.upstream.is_serving.wait()
    await edge.server.stop()
    await edge.upstream.is_not_serving.wait()
    assert (await edge.get("/readyz")).status == 503
    async with running_chat_server(tmp_path):
        await edge.upstream.is_serving.wait()
        await connected(edge.upstream.transport)
        assert (await edge.get("/readyz")).status == 200
    await cancel(watcher)


async def test_the_edge_is_not_ready_before_it_has_heard_from_the_server(edge: Edge) -> None:
    answer = await edge.get("/readyz")
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"


async def test_a_draining_edge_is_not_ready_however_healthy_the_server_is(edge: Edge) -> None:
    watcher = asyncio.create_task(edge.upstream.watch_health())
    await edge.upstream.is_serving.wait()
    edge.health.draining = True
    answer = await edge.get("/readyz")
    assert answer.status == 503
    assert error_of(answer)["code"] == "draining"
    await cancel(watcher)


@pytest.mark.parametrize("stream", [False, True], ids=["unstreamed", "streamed"])
async def test_a_chat_without_a_server_is_a_503_that_says_when_to_retry(edge: Edge, stream: bool) -> None:
    await edge.server.stop()
    answer = await edge.chat(stream=stream)
    assert answer.status == 503
    assert error_of(answer)["code"] == "not_ready"  # the call was not begun, and may be retried elsewhere
    assert answer.headers["retry-after"] == "1"


async def test_an_unstreamed_chat_whose_server_goes_away_is_a_503_that_says_when_to_retry(edge: Edge) -> None:
    edge.server.chat.unstreamed = True
    edge.server.chat.hangs = True
    exchange = edge.begin_chat()
    await edge.server.chat.begun.wait()
    await edge.server.stop()
    answer = await exchange.answer()
    assert answer.status == 503
    assert error_of(answer)["code"] == "upstream_unavailable"
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("target", ["/v1/models", "/v1/models/chasqui-demo"])
async def test_models_without_a_server_are_a_503_that_says_when_to_retry(edge: Edge, target: str) -> None:
    await edge.server.stop()
    answer = await edge.get(target)
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("path", ["/health", "/ping"])
async def test_health_checks_of_other_servers_clients_follow_the_readiness(edge: Edge, path: str) -> None:
    watcher = asyncio.create_task(edge.upstream.watch_health())
    await edge.upstream.is_serving.wait()
    answer = await edge.get(path)
    assert (answer.status, answer.json()) == (200, {"status": "ok"})
    edge.health.draining = True
    assert (await edge.get(path)).status == 503
    await cancel(watcher)


async def test_the_version_is_that_of_the_package(edge: Edge) -> None:
    assert (await edge.get("/version")).json() == {"version": services.__version__}


async def test_an_error_quotes_no_more_than_a_part_of_what_was_sent(edge: Edge) -> None:
    edge.server.chat.unstreamed = True
    edge.server.chat.failure = InvalidValue("a" * 1_000_000, param="b" * 1_000_000)
    answer = await edge.chat()
    assert answer.status == 400
    assert len(answer.body) < 5_000


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "ring"}}])
async def test_the_stream_of_a_forced_call_begins_with_null_content(edge: Edge, choice: object) -> None:
    tool = {"type": "function", "function": {"name": "ring"}}
    answer = await edge.chat(stream=True, tools=[tool], tool_choice=choice)
    first = json.loads(answer.body.split(b"\n\n")[0].removeprefix(b"data: "))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": None}


async def test_an_error_of_the_decoder_quotes_little_of_what_was_sent(edge: Edge) -> None:
    long = "x" * 1_000_000
    for fields in ({"tool_choice": long}, {"response_format": {"type": long}}, {"messages": [{"role": long}]}):
        answer = await edge.chat(None, **fields)
        assert answer.status == 400
        assert len(answer.body) < 3_000
    assert len((await edge.get(f"/{long}")).body) < 3_000


async def test_on_anthropics_paths_every_response_has_the_id_where_its_clients_look_for_it(edge: Edge) -> None:
    hello = json.dumps(HELLO | {"max_tokens": 3}).encode()
    version = {"anthropic-version": "2023-06-01"}
    edge.server.chat.unstreamed = True
    for method, path, headers, body, status in (
        ("POST", "/v1/messages", {}, hello, 200),
        ("POST", "/anthropic/v1/messages", {}, b"{}", 400),
        ("GET", "/anthropic/v1/nothing", {}, b"", 404),
        ("GET", "/v1/models", version, b"", 200),
    ):
        answer = await edge.begin(method, path, headers={"x-request-id": "abc", **headers}, body=[body]).answer()
        assert (answer.status, answer.headers["request-id"]) == (status, "abc"), path
    edge.server.chat.unstreamed = False
    streamed = json.dumps(HELLO | {"max_tokens": 3, "stream": True}).encode()
    answer = await edge.begin("POST", "/v1/messages", headers={"x-request-id": "abc"}, body=[streamed]).answer()
    assert answer.headers["request-id"] == "abc"
    assert "request-id" not in (await edge.get("/v1/models", {"x-request-id": "abc"})).headers
