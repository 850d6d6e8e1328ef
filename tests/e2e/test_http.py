"""HTTP as it really comes: wrong methods, types, sizes and bytes, all answered in OpenAI's envelope."""

from __future__ import annotations

import json
import re
import socket
from typing import Any

import pytest

from services.settings import MAX_BODY_BYTES
from tests.support.http import get, open_call, open_stream, post, read_until, request
from tests.support.service import Service

CHAT = "/v1/chat/completions"
BODY = {"model": "simulated", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 3}


def test_a_path_that_is_not_there_is_404(simulated: Service) -> None:
    reply = get(simulated.url + "/v1/nothing")
    assert (reply.status, reply.error["code"]) == (404, "not_found")


def test_a_wrong_method_is_405_and_says_which_is_right(simulated: Service) -> None:
    reply = get(simulated.url + CHAT)
    assert (reply.status, reply.error["code"]) == (405, "method_not_allowed")
    assert reply.headers["allow"] == "POST"


def test_a_wrong_content_type_is_415(simulated: Service) -> None:
    reply = request("POST", simulated.url + CHAT, b"a=b", {"content-type": "application/x-www-form-urlencoded"})
    assert (reply.status, reply.error["code"]) == (415, "unsupported_media_type")


def test_a_body_of_20_mb_is_413_and_its_sender_gets_to_read_that(simulated: Service) -> None:
    reply = post(simulated.url + CHAT, b" " * (20 * 1024 * 1024))
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")


def test_a_body_without_declared_length_is_counted_as_it_comes(simulated: Service) -> None:
    with socket.create_connection(("127.0.0.1", simulated.port), timeout=60) as connection:
        head = (
            f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        connection.sendall(head.encode())
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        for _ in range(MAX_BODY_BYTES // 0x100000 + 1):
            connection.sendall(chunk)
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{bad",
        b"[1]",
        b'"text"',
        b'{"model": "simulated", "messages": NaN}',
        b'{"model": "simulated", "messages": [{"role": "user", "content": "\xff"}]}',
        b'{"x": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    ],
    ids=["empty", "malformed", "array", "string", "NaN", "invalid UTF-8", "nested 10,000 deep"],
)
def test_a_body_that_is_no_request_is_400(simulated: Service, body: bytes) -> None:
    reply = post(simulated.url + CHAT, body)
    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"
    assert set(reply.error) == {"message", "type", "param", "code"}


def test_headers_beyond_the_limit_are_refused_by_envoy_in_the_same_envelope(simulated: Service) -> None:
    reply = get(simulated.url + "/v1/models", x_filler="x" * 70_000)
    assert reply.status == 431
    assert reply.error["code"] == "headers_too_large"


def test_both_prefixes_lead_to_the_same_endpoint(simulated: Service) -> None:
    answers = [post(f"{simulated.url}{prefix}/chat/completions", BODY).json() for prefix in ("/v1", "/v1/openai")]
    assert answers[0]["choices"] == answers[1]["choices"]


@pytest.mark.parametrize("name", ["meta-llama/Meta-Llama-3.1-8B-Instruct", "meta-llama%2FMeta-Llama-3.1-8B-Instruct"])
def test_the_slash_in_a_model_s_name_may_come_raw_or_encoded(simulated: Service, name: str) -> None:
    assert get(f"{simulated.url}/v1/models/{name}").json()["id"] == "simulated"


def test_a_caller_s_request_id_is_kept_and_returned(simulated: Service) -> None:
    reply = post(simulated.url + CHAT, BODY, x_request_id="my.request:1")
    assert reply.headers["x-request-id"] == "my.request:1"
    assert simulated.usage_record("my.request:1")["outcome"] == "completed"


def test_every_answer_has_a_request_id(simulated: Service) -> None:
    assert re.fullmatch(r"[0-9a-f-]{36}", get(simulated.url + "/v1/models").headers["x-request-id"])


def test_the_caller_s_trace_is_continued_to_the_chat_server(simulated: Service) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    post(simulated.url + CHAT, BODY, x_request_id="traced", traceparent=f"00-{trace}-b7ad6b7169203331-01")
    assert simulated.usage_record("traced")["trace_id"] == trace


def test_unknown_fields_are_accepted_and_named(simulated: Service) -> None:
    reply = post(simulated.url + CHAT, {**BODY, "zeta": 1, "alpha": None, "metadata": {"a": "b"}})
    assert reply.status == 200
    assert reply.headers["x-ignored-parameters"] == "zeta"


def test_an_unstreamed_answer_says_where_the_time_went(simulated: Service) -> None:
    timing = post(simulated.url + CHAT, BODY).headers["server-timing"]
    assert [part.partition(";")[0] for part in timing.split(", ")] == [
        "queue",
        "tokenize",
        "prefill",
        "decode",
        "total",
    ]


def test_the_deadline_of_an_unstreamed_call_is_504_and_not_to_be_retried() -> None:
    with Service(engine="simulated", simulated_rate=20, model_name="simulated") as service:
        slow = {**BODY, "max_tokens": 1000, "ignore_eos": True}
        for seconds in ("1.5", "6", "24"):  # until a busy machine has begun in time
            stream = post(service.url + CHAT, {**slow, "stream": True}, x_request_timeout=seconds)
            if stream.status == 200:
                break
        assert stream.status == 200
        events = stream.body.decode().strip().split("\n\n")
        assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "deadline_exceeded"
        assert "[DONE]" not in stream.body.decode()
        reply = post(service.url + CHAT, slow, x_request_timeout=seconds, x_request_id="late")
        assert (reply.status, reply.error["code"]) == (504, "deadline_exceeded")
        assert reply.headers["x-should-retry"] == "false"
        record = service.usage_record("late")
        assert record["completion_tokens"] < 1000


def test_a_silent_stream_carries_keep_alive_comments() -> None:
    settings: dict[str, Any] = {"engine": "simulated", "simulated_rate": 50, "model_name": "simulated"}
    with Service(**settings, keep_alive=0.1, parallel=1) as service:
        endless = {**BODY, "max_tokens": 4000, "ignore_eos": True, "stream": True}
        with open_stream(service.url + CHAT, endless):
            silent = open_call(service.url + CHAT, {**BODY, "stream": True})  # queued behind the other
            received = b""
            while received.count(b": keep-alive\n\n") < 3 and (part := silent.recv(65536)):
                received += part
        with silent:
            assert received.count(b": keep-alive\n\n") >= 3
            assert "data: [DONE]\n\n" in read_until(silent, "data: [DONE]\n\n")


def test_liveness_and_readiness_are_open(simulated: Service) -> None:
    assert get(simulated.url + "/healthz").json() == {"status": "ok"}
    assert get(simulated.url + "/readyz").json() == {"status": "ready"}


def test_envoy_logs_each_request_with_its_ids_and_leaves_probes_out(simulated: Service) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    post(simulated.url + CHAT + "?secret=1", BODY, x_request_id="logged", traceparent=trace)
    record = simulated.logged("logged", '"part":"envoy"')
    assert (record["path"], record["status"], record["traceparent"]) == (CHAT, 200, trace)
    assert not any("secret" in str(value) for value in record.values())
    assert '"path":"/readyz"' not in simulated.output()
