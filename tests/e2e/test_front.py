"""The public port as clients of every kind first meet it: raw requests, large headers, compressed bodies, web pages."""

from __future__ import annotations

import gzip
import json
import socket
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from chasqui.v1 import model_service_pb2, model_service_pb2_grpc
from tests.support import http
from tests.support.http import get, post
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.http import Reply

CHAT = "/v1/chat/completions"
CALL: Mapping[str, Any] = {
    "model": "simulated",
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": 3,
}
BODY = json.dumps(CALL).encode()
STREAM = json.dumps({**CALL, "stream": True}).encode()
PAGE = "https://app.example.com"


@pytest.fixture(scope="module")
def open_to_pages() -> Iterator[Service]:
    origins = f"{PAGE},http://localhost:3000"
    with Service(engine="simulated", simulated_rate=0, model_name="simulated", cors_origins=origins) as service:
        yield service


def request(first_line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request as it is on the wire."""
    length = (f"Content-Length: {len(body)}", "Content-Type: application/json") if body else ()
    return "\r\n".join((first_line, *headers, *length, "", "")).encode() + body


def answer(service: Service, sent: bytes, end: bytes = b"") -> tuple[int, bytes]:
    """The status of the last response to what was sent, and everything up to `end` or the connection's end."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(sent)
        received = b""
        while not (end and end in received) and (part := connection.recv(65536)):
            received += part
    statuses = [line.split()[1] for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.")]
    return int(statuses[-1]), received


# First requests of a connection, from captures and sources of the clients.
FIRST: Mapping[str, bytes] = {
    "nginx as a proxy, with its defaults": request(
        f"POST {CHAT} HTTP/1.0", "Host: chasqui", "Connection: close", body=BODY
    ),
    "ApacheBench": request("GET /v1/models HTTP/1.0", "Host: a:80", "User-Agent: ApacheBench/2.3", "Accept: */*"),
    "HAProxy's httpchk": request("GET /readyz HTTP/1.0"),
    "a probe without a host": request("GET /healthz HTTP/1.0"),
    "a stream over HTTP/1.0": request(f"POST {CHAT} HTTP/1.0", body=STREAM),
    "Java's HttpClient": request(
        f"POST {CHAT} HTTP/1.1",
        "Connection: Upgrade, HTTP2-Settings",
        "Host: a:80",
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
        "Upgrade: h2c",
        "User-Agent: Java-http-client/21.0.2",
        body=BODY,
    ),
    "Apache HttpClient 5.4": request(
        f"POST {CHAT} HTTP/1.1",
        "Accept-Encoding: gzip, x-gzip, deflate",
        "Host: a:80",
        "Connection: keep-alive, Upgrade",
        "Upgrade: TLS/1.2",
        "User-Agent: Apache-HttpClient/5.4 (Java/21)",
        body=BODY,
    ),
    ".NET and PowerShell": request(
        f"POST {CHAT} HTTP/1.1",
        "User-Agent: Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1",
        "Host: a",
        "Expect: 100-continue",
        "Connection: Keep-Alive",
        body=BODY,
    ),
    "a browser": request(
        "GET /docs HTTP/1.1",
        "Host: localhost:8080",
        "Connection: keep-alive",
        "Upgrade-Insecure-Requests: 1",
        'sec-ch-ua: "Chromium";v="131", "Not_A Brand";v="24"',
        "Sec-Fetch-Mode: navigate",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Cookie: session=" + "x" * 4000,
    ),
    "a client that would like a WebSocket": request(
        "GET /v1/models HTTP/1.1",
        "Host: a",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
}


@pytest.mark.parametrize("sent", FIRST.values(), ids=FIRST)
def test_the_first_request_of_each_client_is_served(simulated: Service, sent: bytes) -> None:
    # The others keep the connection open, unless they are asked not to.
    closing = sent.replace(b"Connection: Keep-Alive", b"Connection: close").replace(b"keep-alive", b"close")
    if b"HTTP/1.1" in closing and b"close" not in closing:
        closing = closing.replace(b"Connection: Upgrade", b"Connection: close, Upgrade")
    status, received = answer(simulated, closing)
    assert status == 200
    assert sent.endswith(STREAM) == received.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("path", ["/v1/models/", "/v1/openai/models/", "/readyz/", "/v1/models//", "/docs/"])
def test_a_slash_at_the_end_of_a_path_changes_nothing(simulated: Service, path: str) -> None:
    reply = get(simulated.url + path)
    assert (reply.status, reply.headers.get("location")) == (200, None)


def list_models(service: Service, key: str) -> grpc.StatusCode:
    """The status of a call with a key of that size."""
    limit = 1 << 20
    options = [("grpc.max_metadata_size", limit), ("grpc.absolute_max_metadata_size", limit)]
    with grpc.insecure_channel(service.target, options) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        try:
            stub.ListModels(
                model_service_pb2.ListModelsRequest(), metadata=(("authorization", f"Bearer {key}"),), timeout=60
            )
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("kibibytes", "accepted"), [(3, True), (9, True), (15, True), (40, True), (59, True), (61, False)]
)
def test_rest_and_grpc_take_the_same_sizes_of_headers_and_never_at_random(
    simulated: Service, kibibytes: int, accepted: bool
) -> None:
    key = "k" * (1024 * kibibytes)
    statuses = {get(simulated.url + "/v1/models", authorization=f"Bearer {key}").status for _ in range(10)}
    assert statuses == {200 if accepted else 431}
    assert {list_models(simulated, key) is grpc.StatusCode.OK for _ in range(10)} == {accepted}


def post_gzip(service: Service, compressed: bytes) -> Reply:
    return post(service.url + CHAT, compressed, content_encoding="gzip", content_type="application/json")


def test_a_body_may_come_compressed_with_gzip(simulated: Service) -> None:
    assert post_gzip(simulated, gzip.compress(BODY)).json()["usage"]["completion_tokens"] == 3


def test_what_inflates_to_more_than_a_body_may_have_is_refused_and_takes_little_memory(simulated: Service) -> None:
    envoy = simulated.parts()["envoy"]
    before = envoy.memory_info().rss
    reply = post_gzip(simulated, gzip.compress(bytes(300_000_000)))
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")
    assert envoy.memory_info().rss - before < 150_000_000


@pytest.mark.parametrize("sent", [b"not gzip", gzip.compress(BODY)[:-20]], ids=["another form", "cut off"])
def test_a_body_that_is_not_gzip_though_it_says_so_is_refused(simulated: Service, sent: bytes) -> None:
    assert post_gzip(simulated, sent).status == 400


def preflight(service: Service, origin: str) -> Reply:
    """What a browser asks before it sends a page's call."""
    asked = "authorization,content-type,x-stainless-os,x-stainless-retry-count"
    headers = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": asked}
    return http.request("OPTIONS", service.url + CHAT, headers=headers)


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:3000"])
def test_a_page_of_an_allowed_origin_may_call_with_a_key_and_read_the_answer(
    open_to_pages: Service, origin: str
) -> None:
    allowed = preflight(open_to_pages, origin)
    assert (allowed.status, allowed.headers["access-control-allow-origin"]) == (200, origin)
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert {"authorization", "*"} <= set(allowed.headers["access-control-allow-headers"].split(", "))
    for reply in (
        post(open_to_pages.url + CHAT, CALL, origin=origin),
        post(open_to_pages.url + CHAT, {}, origin=origin),
    ):
        assert reply.headers["access-control-allow-origin"] == origin
        assert "x-request-id" in reply.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", ["https://evil.example", "https://app.example.com.evil.example", "null"])
def test_a_page_of_another_origin_gets_no_permission(open_to_pages: Service, origin: str) -> None:
    for reply in (preflight(open_to_pages, origin), post(open_to_pages.url + CHAT, CALL, origin=origin)):
        assert "access-control-allow-origin" not in reply.headers


def test_without_the_setting_no_page_gets_permission(simulated: Service) -> None:
    for reply in (preflight(simulated, PAGE), post(simulated.url + CHAT, CALL, origin=PAGE)):
        assert not [name for name in reply.headers if name.startswith("access-control-")]
