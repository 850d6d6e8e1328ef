"""Callers of the ledger's proof: each makes a call of a random kind, and says what it got."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException, IncompleteRead
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from tests.support.http import Reply, post
from tests.support.service import Service

CHAT = "/v1/chat/completions"
# No call of these takes longer, so none of them hides one that hangs.
_SECONDS = 60


@dataclass(frozen=True)
class Credential:
    """A key, or a scoped token of it by its id."""

    secret: str
    token: str = ""


@dataclass
class Seen:
    """What a caller knows of a call.

    `ended` is completed, left, late, refused, spent (the token's spending limit), or broken: it got another error, or
    its connection ended. `tokens` are those that arrived, which only a caller of a REST stream counts; `token` is the
    id of the scoped token that made the call.
    """

    ended: str
    call_id: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    tokens: int = 0
    request_id: str = ""
    token: str = ""

    @property
    def counted(self) -> tuple[int, int, int, float]:
        """Prompt, completion and cached tokens, and the cost."""
        usage = self.usage
        cached = usage.get("cached_tokens", usage.get("prompt_tokens_details", {}).get("cached_tokens", 0))
        return usage["prompt_tokens"], usage["completion_tokens"], cached, usage["estimated_cost"]


def call(service: Service, credentials: Sequence[Credential], number: int) -> Seen:
    """One call with one of the credentials, whose request id is `call-NUMBER`."""
    rng = random.Random(number)  # noqa: S311 - a call
    body: dict[str, Any] = {
        "model": "simulated",
        "messages": [{"role": "user", "content": "word " * rng.randrange(1, 50)}],
        "max_tokens": rng.randrange(1, 60),
        "n": rng.choice([1, 1, 2]),
    }
    credential = rng.choice(credentials)
    headers = {"authorization": f"Bearer {credential.secret}", "x-request-id": f"call-{number}"}
    kind = rng.choice([_whole, _whole, _stream, _stream, _leave, _late, _grpc_whole, _grpc_stream])
    try:
        seen = kind(service, body, headers)
    except (OSError, HTTPException):
        seen = Seen("broken")
    seen.request_id, seen.token = f"call-{number}", credential.token
    return seen


def _whole(service: Service, body: dict[str, Any], headers: dict[str, str]) -> Seen:
    reply = _post(service, body, headers)
    if reply.status != 200:
        return Seen({429: "spent", 503: "refused", 504: "late"}.get(reply.status, "broken"))
    answer = reply.json()
    return Seen("completed", answer["id"], answer["usage"])


def _stream(service: Service, body: dict[str, Any], headers: dict[str, str]) -> Seen:
    streamed = {**body, "stream": True, "stream_options": {"continuous_usage_stats": True}}
    try:
        reply = _post(service, streamed, headers)
        if reply.status == 429:
            return Seen("spent")
        received = reply.body
    except IncompleteRead as cut:
        received = cut.partial
    lines = [line for line in received.split(b"\n") if line.startswith(b"data: {") and line.endswith(b"}")]
    events = [event for event in map(json.loads, (line[6:] for line in lines)) if "id" in event]
    if not events:
        return Seen("broken")
    usages = [event["usage"] for event in events if event.get("usage")]
    if b"data: [DONE]" in received:
        return Seen("completed", events[0]["id"], usages[-1])
    return Seen("broken", events[0]["id"], tokens=max((usage["completion_tokens"] for usage in usages), default=0))


def _late(service: Service, body: dict[str, Any], headers: dict[str, str]) -> Seen:
    return _whole(service, {**body, "max_tokens": 600}, {**headers, "x-request-timeout": "0.2"})


def _leave(service: Service, body: dict[str, Any], headers: dict[str, str]) -> Seen:
    """Close the connection in the middle of the stream."""
    data = json.dumps({**body, "stream": True, "max_tokens": 600}).encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection((service.host, service.port), timeout=_SECONDS) as connection:
        connection.sendall(
            f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n{head}"
            f"content-length: {len(data)}\r\n\r\n".encode()
            + data
        )
        received = b""
        with suppress(OSError):
            while b'"id":"' not in received and (chunk := connection.recv(4096)):
                received += chunk
    found = received.partition(b'"id":"')[2].partition(b'"')[0].decode()
    return Seen("left", found or None)


def _grpc_whole(service: Service, body: dict[str, Any], headers: dict[str, str]) -> Seen:
    with grpc.insecure_channel(service.target, options=[("grpc.enable_retries", 0)]) as channel:
        stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
        try:
            answer = stub.Chat(_request(body), metadata=tuple(headers.items()), timeout=_SECONDS)
        except grpc.RpcError as error:
            return Seen(_refusal(error))
    return Seen("completed", answer.id, _usage(answer.usage))


def _grpc_stream(service: Service, body: dict[str, Any], headers: dict[str, str]) -> Seen:
    seen = Seen("broken")
    request = chat_service_pb2.StreamChatRequest(chat=_request(body))
    with grpc.insecure_channel(service.target, options=[("grpc.enable_retries", 0)]) as channel:
        stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
        try:
            for message in stub.StreamChat(request, metadata=tuple(headers.items()), timeout=_SECONDS):
                for event in message.events:
                    if event.HasField("started"):
                        seen.call_id = event.started.id
                    if event.HasField("completed"):
                        seen.ended, seen.usage = "completed", _usage(event.completed.usage)
        except grpc.RpcError as error:
            seen.ended = _refusal(error)
    return seen


def _refusal(error: grpc.RpcError) -> str:
    return "spent" if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED else "broken"


def _request(body: dict[str, Any]) -> chat_service_pb2.ChatRequest:
    part = chat_pb2.ContentPart(text=body["messages"][0]["content"])
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[part])
    return chat_service_pb2.ChatRequest(
        model=body["model"], messages=[message], max_tokens=body["max_tokens"], n=body["n"]
    )


def _usage(usage: chat_pb2.Usage) -> dict[str, Any]:
    found = MessageToDict(usage, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return {name: value if isinstance(value, float) else int(value) for name, value in found.items()}


def _post(service: Service, body: dict[str, Any], headers: dict[str, str]) -> Reply:
    return post(service.url + CHAT, body, **headers)
