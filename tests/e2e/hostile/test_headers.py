"""Hostile HTTP: what is none, what floods, what takes its time, and paths that lead nowhere."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from typing import Any

import pytest

from tests.e2e.hostile.conftest import SETTINGS, SHORT_BODIES
from tests.support.http import get, post, request
from tests.support.replicas import Replicas, wait_until
from tests.support.siege import (
    BODY,
    CHAT,
    answer_on,
    exchange,
    refused,
)

HEAD = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"hello\r\n\r\n", 400, "bad_request"),
        (f"{HEAD}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".encode(), 400, "bad_request"),
        (f"{HEAD}content-length: 1\r\ncontent-length: 2\r\n\r\n{{}}".encode(), 400, "bad_request"),
        (f"{HEAD}content-length: -1\r\n\r\n".encode(), 400, "bad_request"),
        (f"{HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n".encode(), 400, "bad_request"),
        (f"{HEAD}a\x00b: c\r\n\r\n".encode(), 400, "bad_request"),
        (b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n", 404, "not_found"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"x" * 62_000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 101 + b"\r\n", 431, "headers_too_large"),
        (b"GET /" + b"x" * 62_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 431, "headers_too_large"),
        (f"{HEAD}transfer-encoding: gzip\r\n\r\n".encode(), 501, "not_implemented"),
    ],
    ids=[
        *(
            "no host",
            "no HTTP",
            "length and chunks",
            "two lengths",
            "negative length",
            "bad chunk",
            "NUL",
        ),
        *("CONNECT", "long header", "many headers", "long path", "coding"),
    ],
)
def test_what_is_no_proper_http_is_refused_in_the_envelope(
    replicas: Replicas, sent: bytes, status: int, code: str
) -> None:
    assert refused(exchange(replicas.port, sent), status, code)


def test_a_long_credential_is_431(replicas: Replicas) -> None:
    assert post(replicas.url + CHAT, BODY, authorization="Bearer " + "x" * 61_440).status == 431


def test_headers_that_come_byte_by_byte_are_408_while_others_are_served(replicas: Replicas) -> None:
    with ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", replicas.port), timeout=60)) for _ in range(50)
        ]
        for connection in slow:
            connection.sendall(b"GET / HTTP/1.1\r\nhost:")
        assert get(replicas.url + "/healthz").status == 200
        for connection in slow:
            assert refused(answer_on(connection), 408, "request_timeout")


def test_bodies_that_come_byte_by_byte_are_408_while_others_are_served() -> None:
    # A service of its own: the large bodies of other tests take longer on a busy machine.
    with Replicas(1, envoy_changes=SHORT_BODIES, **SETTINGS) as replicas, ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", replicas.port), timeout=60)) for _ in range(50)
        ]
        for connection in slow:
            connection.sendall(f"{HEAD}x-request-id: slow-body\r\ncontent-length: 1000\r\n\r\n{{".encode())
        assert get(replicas.url + "/healthz").status == 200
        for connection in slow:
            assert refused(answer_on(connection), 408, "request_timeout")
        wait_until(lambda: any(line["status"] == 408 for line in logged(replicas, "slow-body")))


def test_a_thousand_connections_that_say_nothing_keep_nobody_from_being_served(replicas: Replicas) -> None:
    with ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(socket.create_connection(("127.0.0.1", replicas.port), timeout=60))
        assert post(replicas.url + CHAT, BODY).status == 200


def logged(replicas: Replicas, request_id: str) -> list[dict[str, Any]]:
    """Envoy's log lines of a request."""
    *whole, _ = replicas.output("envoy").split("\n")  # the last one may not be complete
    lines = [line for line in whole if f'"{request_id}"' in line]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/chat%2fcompletions", "//v1/chat/completions", "/v1/./chat/completions"),
        *(
            "/v1/x/../chat/completions",
            "/v1/%2e%2e/v1/chat/completions",
            "/V1/chat/completions",
            "/v1/chat/completions%00",
        ),
        *("/chasqui.v1.RelayService/Relay", "/metrics", "/../../etc/passwd", "/stats", "/quitquitquit"),
    ],
)
def test_a_path_that_is_not_there_to_the_letter_is_404(replicas: Replicas, path: str) -> None:
    reply = exchange(replicas.port, f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}".encode())
    assert reply.status in (400, 404)
    assert set(reply.error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND"])
def test_a_method_that_is_not_there_is_405(replicas: Replicas, method: str) -> None:
    assert refused(request(method, replicas.url + CHAT), 405, "method_not_allowed")
