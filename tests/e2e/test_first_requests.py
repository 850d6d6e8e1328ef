"""The first request of a program, as it writes it: HTTP libraries, proxies, health checkers and browsers."""

from __future__ import annotations

import json

import grpc
import pytest

from chasqui.v1 import model_service_pb2, model_service_pb2_grpc
from tests.support.http import get
from tests.support.service import Service
from tests.support.siege import exchange

BODY = json.dumps({"model": "simulated", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 2})
POST = "POST /v1/chat/completions HTTP/1.1"
LENGTH = f"Content-Length: {len(BODY)}"
JSON = "Content-Type: application/json"
_CHROME = (
    'sec-ch-ua: "Chromium";v="141", "Not?A_Brand";v="8"',
    "sec-ch-ua-mobile: ?0",
    'sec-ch-ua-platform: "Windows"',
    "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0",
)
# By program: the lines of the head, and the body.
CHATS: dict[str, tuple[tuple[str, ...], str]] = {
    "Java's HttpClient, which offers HTTP/2": (
        (
            *(POST, "Connection: Upgrade, HTTP2-Settings", LENGTH, "Host: localhost:8080"),
            *("HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA", "Upgrade: h2c"),
            *("User-Agent: Java-http-client/21.0.4", JSON),
        ),
        BODY,
    ),
    "Java's HttpURLConnection": (
        (
            *(POST, JSON, "Cache-Control: no-cache", "Pragma: no-cache", "User-Agent: Java/17.0.15", "Host: localhost"),
            *("Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "Connection: keep-alive", LENGTH),
        ),
        BODY,
    ),
    "Apache HttpClient 5.4, which offers TLS": (
        (
            *(POST, "Accept-Encoding: gzip, x-gzip, deflate", LENGTH, "Content-Type: application/json; charset=UTF-8"),
            *("Upgrade: TLS/1.2", "Host: localhost:8080", "Connection: Upgrade", "User-Agent: Apache-HttpClient/5.4"),
        ),
        BODY,
    ),
    "OkHttp": (
        (
            *(POST, "Content-Type: application/json; charset=utf-8", LENGTH, "Host: localhost:8080"),
            *("Connection: Keep-Alive", "Accept-Encoding: gzip", "User-Agent: okhttp/4.12.0"),
        ),
        BODY,
    ),
    ".NET's PostAsJsonAsync, which sends chunks": (
        (
            *(POST, "Host: localhost:8080", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
            *("Transfer-Encoding: chunked", "Content-Type: application/json; charset=utf-8"),
        ),
        f"{len(BODY):X}\r\n{BODY}\r\n0\r\n\r\n",
    ),
    ".NET Framework's HttpWebRequest, which expects 100": (
        (POST, JSON, "Host: localhost:8080", LENGTH, "Expect: 100-continue", "Connection: Keep-Alive"),
        BODY,
    ),
    "PowerShell 7": (
        (
            *(POST, "Host: localhost:8080", "User-Agent: Mozilla/5.0 (Linux; Debian 12; en-US) PowerShell/7.4.5"),
            *("Accept-Encoding: gzip, deflate, br", JSON, LENGTH),
        ),
        BODY,
    ),
    "Windows PowerShell 5.1, which writes a byte order mark": (
        (
            *(POST, "User-Agent: Mozilla/5.0 (Windows NT; Windows NT 10.0) WindowsPowerShell/5.1", JSON),
            *("Host: localhost:8080", f"Content-Length: {len(BODY) + 3}", "Expect: 100-continue"),
        ),
        f"\ufeff{BODY}",
    ),
    "Go": (
        (POST, "Host: localhost:8080", "User-Agent: Go-http-client/1.1", LENGTH, JSON, "Accept-Encoding: gzip"),
        BODY,
    ),
    "Node's fetch": (
        (
            *(POST, "host: localhost:8080", "connection: keep-alive", JSON.lower(), "accept: */*"),
            *("accept-language: *", "sec-fetch-mode: cors", "user-agent: node", "accept-encoding: gzip, deflate"),
            LENGTH.lower(),
        ),
        BODY,
    ),
    "Ruby": (
        (
            *(POST, "Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3", "Accept: */*", "User-Agent: Ruby"),
            *(JSON, "Host: localhost:8080", LENGTH),
        ),
        BODY,
    ),
    "curl with --http2": (
        (
            *(
                POST,
                "Host: localhost:8080",
                "User-Agent: curl/8.5.0",
                "Accept: */*",
                "Connection: Upgrade, HTTP2-Settings",
            ),
            *("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA", JSON, LENGTH),
        ),
        BODY,
    ),
    "a client with an empty Content-Encoding": (
        (POST, "Host: localhost:8080", JSON, "Content-Encoding:", LENGTH),
        BODY,
    ),
    "nginx as it comes, which speaks HTTP/1.0": (
        (
            *(
                "POST /v1/chat/completions HTTP/1.0",
                "Host: backend",
                "X-Real-IP: 10.0.0.7",
                "X-Forwarded-For: 10.0.0.7",
            ),
            *("Connection: close", LENGTH, "User-Agent: curl/8.5.0", "Accept: */*", JSON),
        ),
        BODY,
    ),
    "HAProxy": (
        (
            *(POST, "host: localhost:8080", "user-agent: curl/8.5.0", "accept: */*", JSON.lower(), LENGTH.lower()),
            "x-forwarded-for: 10.0.0.7",
        ),
        BODY,
    ),
    "Chrome's fetch from a page of the same origin": (
        (
            *(POST, "Host: localhost:8080", "Connection: keep-alive", LENGTH, *_CHROME, JSON, "Accept: */*"),
            *(
                "Origin: http://localhost:8080",
                "Sec-Fetch-Site: same-origin",
                "Sec-Fetch-Mode: cors",
                "Sec-Fetch-Dest: empty",
            ),
            *(
                "Referer: http://localhost:8080/docs",
                "Accept-Encoding: gzip, deflate, br, zstd",
                "Accept-Language: de-DE,de;q=0.9",
            ),
            "Cookie: theme=dark; _ga=GA1.1.1234567890.1700000000",
        ),
        BODY,
    ),
    "Firefox's fetch from a page of the same origin": (
        (
            *(
                POST,
                "Host: localhost:8080",
                "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            ),
            *(
                "Accept: */*",
                "Accept-Language: es-PE,es;q=0.5",
                "Accept-Encoding: gzip, deflate, br, zstd",
                JSON,
                LENGTH,
            ),
            *("Origin: http://localhost:8080", "DNT: 1", "Sec-GPC: 1", "Connection: keep-alive", "Priority: u=4"),
        ),
        BODY,
    ),
}
# By program: the lines of the head of a request for a page or a sign of life.
GETS: dict[str, tuple[str, ...]] = {
    "Kubernetes' probe": (
        *(
            "GET /readyz HTTP/1.1",
            "Host: 10.1.2.3:8080",
            "User-Agent: kube-probe/1.31",
            "Accept: */*",
            "Connection: close",
        ),
    ),
    "AWS' load balancer": (
        *("GET /readyz HTTP/1.1", "Host: 10.1.2.3:8080", "Connection: close", "User-Agent: ELB-HealthChecker/2.0"),
        "Accept-Encoding: gzip, compressed",
    ),
    "HAProxy's check, which speaks HTTP/1.0": ("GET /readyz HTTP/1.0",),
    "nginx as it comes, which speaks HTTP/1.0": (
        *("GET /v1/models HTTP/1.0", "Host: backend", "Connection: close", "User-Agent: curl/8.5.0", "Accept: */*"),
    ),
    "ApacheBench, which speaks HTTP/1.0": (
        *("GET /v1/models HTTP/1.0", "Connection: Keep-Alive", "Host: localhost:8080", "User-Agent: ApacheBench/2.3"),
        "Accept: */*",
    ),
    "Apache HttpClient 5.4, which offers TLS": (
        *("GET /v1/models HTTP/1.1", "Accept-Encoding: gzip, x-gzip, deflate", "Upgrade: TLS/1.2"),
        *("Host: localhost:8080", "Connection: keep-alive, Upgrade", "User-Agent: Apache-HttpClient/5.4"),
    ),
    "Chrome's address bar": (
        *("GET /docs HTTP/1.1", "Host: localhost:8080", "Connection: keep-alive", "Cache-Control: max-age=0", *_CHROME),
        *("Upgrade-Insecure-Requests: 1", "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        *("Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-User: ?1", "Sec-Fetch-Dest: document"),
        *("Accept-Encoding: gzip, deflate, br, zstd", "Accept-Language: en-US,en;q=0.9"),
    ),
}


@pytest.mark.parametrize("program", CHATS)
def test_the_first_chat_of_a_program_is_answered(simulated: Service, program: str) -> None:
    head, body = CHATS[program]
    reply = exchange(simulated.port, "\r\n".join([*head, "", body]).encode())
    assert reply.status == 200, reply.body
    assert reply.json()["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize("program", GETS)
def test_the_first_page_or_sign_of_life_that_a_program_asks_for_is_there(simulated: Service, program: str) -> None:
    reply = exchange(simulated.port, "\r\n".join([*GETS[program], "", ""]).encode())
    assert reply.status == 200, reply.body
    assert reply.body


def listed_over_grpc(service: Service, key: str) -> bool:
    with grpc.insecure_channel(service.target) as channel:
        call = model_service_pb2_grpc.ModelServiceStub(channel).ListModels.future(
            model_service_pb2.ListModelsRequest(), metadata=(("authorization", f"Bearer {key}"),), timeout=60
        )
        return call.exception() is None


def test_a_header_of_any_size_has_the_same_fate_over_rest_and_grpc_each_time(simulated: Service) -> None:
    for size in (100, 3_000, 7_000, 9_000, 12_000, 15_000, 20_000, 40_000):
        key = "k" * size
        rest = {get(simulated.url + "/v1/models", authorization=f"Bearer {key}").status == 200 for _ in range(10)}
        rpcs = {listed_over_grpc(simulated, key) for _ in range(10)}
        assert (size, len(rest), rest) == (size, 1, rpcs)
