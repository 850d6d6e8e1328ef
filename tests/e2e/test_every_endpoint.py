"""Every endpoint that takes a body: keys, bounds, deadlines and admission, whatever it does."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from starlette.routing import Route

from edge.api.json_size import MAX_JSON_VALUES
from edge.app import build_app
from edge.endpoints.health import Health
from edge.http.event_stream import KeepAlive
from edge.upstream.client import Upstream
from services.chat.request.input_processor import MAX_COUNTED_TOKENS, MAX_TEXT_BYTES
from services.telemetry.spans import untraced
from tests.support.gguf_files import write_gguf
from tests.support.http import open_call, post, read_until
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.http import Reply

KEY = {"authorization": "Bearer key"}
MODEL = "tiny-simulated"
HELLO = [{"role": "user", "content": "Hello!"}]
GENERATING: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": MODEL, "messages": HELLO, "max_tokens": 3},
    "/v1/completions": {"model": MODEL, "prompt": "Hello!", "max_tokens": 3},
    "/v1/messages": {"model": MODEL, "messages": HELLO, "max_tokens": 3},
    "/v1/responses": {"model": MODEL, "input": "Hello!", "max_output_tokens": 3},
}
COUNTING: dict[str, dict[str, Any]] = {
    "/tokenize": {"model": MODEL, "prompt": "Hello!"},
    "/detokenize": {"model": MODEL, "tokens": [65, 66]},
    "/v1/messages/count_tokens": {"model": MODEL, "messages": HELLO},
}
BODIES = GENERATING | COUNTING
# They need accounts, and have tests of their own.
OF_ACCOUNTS = {"/v1/files", "/v1/batches", "/v1/scoped-jwt"}
# Work for a while, in each of the counting endpoints.
LARGE = {
    "/tokenize": {"model": MODEL, "prompt": "word " * 50_000},
    "/detokenize": {"model": MODEL, "tokens": [65] * MAX_COUNTED_TOKENS},
    "/v1/messages/count_tokens": {"model": MODEL, "messages": [{"role": "user", "content": "word " * 50_000}]},
}
LONGEST = "z" * 4000  # a token


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    model = write_gguf(
        tmp_path_factory.mktemp("model") / "tiny.gguf",
        words=[LONGEST],
        llama__context_length=400_000,
        tokenizer__chat_template="{% for message in messages %}{{ message.content }}{% endfor %}",
    )
    settings: dict[str, Any] = {"model": model, "context_length": 400_000, "simulated_rate": 5, "parallel": 1}
    with Service(engine="simulated", api_keys="key", max_queue=2, **settings) as service:
        yield service


def error_of(reply: Reply) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(reply.body)["error"]
    return error


async def test_the_bodies_here_are_of_every_endpoint_that_takes_one() -> None:
    upstream = Upstream("unix:/nobody", "")
    app = build_app(upstream, Health(upstream), KeepAlive(1.0, 1.0), untraced())
    await upstream.close()
    routes = [route for route in app.routes if isinstance(route, Route)]
    taking = {route.path for route in routes if "POST" in (route.methods or ()) and "{" not in route.path}
    documented = {path.removeprefix("/anthropic").replace("/v1/openai/", "/v1/") for path in taking}
    assert documented == {*BODIES, *OF_ACCOUNTS}


@pytest.mark.parametrize("path", BODIES)
def test_a_small_request_is_answered_and_one_without_a_key_is_not(service: Service, path: str) -> None:
    assert post(service.url + path, BODIES[path], **KEY).status == 200
    assert post(service.url + path, BODIES[path]).status == 401


@pytest.mark.parametrize("path", BODIES)
def test_a_body_beyond_the_bounds_is_refused(service: Service, path: str) -> None:
    large = json.dumps({**BODIES[path], "unknown": "x" * (8 * 2**20)}).encode()
    many = json.dumps({**BODIES[path], "unknown": [0] * (MAX_JSON_VALUES + 1)}).encode()
    assert post(service.url + path, large, **KEY).status == 413
    refusal = post(service.url + path, many, **KEY)
    assert (refusal.status, "too many values" in error_of(refusal)["message"]) == (400, True)


@pytest.mark.parametrize("path", BODIES)
def test_a_deadline_that_has_passed_is_504_and_not_to_be_retried(service: Service, path: str) -> None:
    reply = post(service.url + path, LARGE.get(path, BODIES[path]), **KEY, x_request_timeout="0.002")
    assert (reply.status, reply.headers["x-should-retry"]) == (504, "false")


@pytest.mark.parametrize("path", GENERATING)
def test_a_call_beyond_the_queue_is_503_and_says_when_to_come_again(service: Service, path: str) -> None:
    long = {**GENERATING["/v1/chat/completions"], "max_tokens": 1000, "ignore_eos": True, "stream": True}
    with ExitStack() as open_calls:
        accepted = 0
        # One runs, and one waits: a caller's share is half of the queue.
        while accepted < 2:
            call = open_calls.enter_context(open_call(service.url + "/v1/chat/completions", long, KEY))
            # Refused as long as calls of the test before, whose connections are closed, are in the queue.
            accepted += read_until(call, "\r\n").startswith("HTTP/1.1 200")
        reply = post(service.url + path, BODIES[path], **KEY)
    assert reply.status == 503
    assert "retry-after" in reply.headers


def test_ids_that_are_more_text_than_fits_into_an_answer_are_refused(service: Service) -> None:
    (longest,) = post(service.url + "/tokenize", {"model": MODEL, "prompt": LONGEST}, **KEY).json()["tokens"][-1:]
    count = MAX_TEXT_BYTES // len(LONGEST)
    good, bad = (
        post(service.url + "/detokenize", {"model": MODEL, "tokens": [longest] * number}, **KEY)
        for number in (count, count + 1)
    )
    assert (good.status, len(good.json()["prompt"])) == (200, count * len(LONGEST))
    assert (bad.status, error_of(bad)["param"]) == (400, "tokens")
