"""A service under attack: what it must still be and do when an attack is over."""

from __future__ import annotations

import socket
from contextlib import suppress
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import grpc
import psutil
from hypothesis import HealthCheck, settings

from chasqui.v1 import chat_pb2, chat_service_pb2
from tests.support.http import Reply, post

if TYPE_CHECKING:
    from tests.support.replicas import Replicas

# In every attack, where a user's content would be.
CANARY = "xylophone-quartz"
_BODY = {"model": "simulated", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 20}
CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
CONTEXT = 512
BODY = {"model": "simulated", "messages": [{"role": "user", "content": CANARY}], "max_tokens": 3}
# For tests that make requests up.
fuzzed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
# What a part may hold more than at first, however often it is attacked: allocators keep some of what a body of 8 MiB
# takes, 170 MiB at most where this was written.
_MAX_GROWTH = 256 * 1024 * 1024


class Siege:
    """Remembers processes, memory and an answer; `check` compares."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._answer = self._ask()
        self._processes = {name: psutil.Process(process.pid) for name, process in replicas.processes.items()}
        self._memory = {name: process.memory_info().rss for name, process in self._processes.items()}
        self._seen = dict.fromkeys(self._processes, 0)

    def check(self) -> None:
        """AssertionError unless the service lives, answers as before, holds little more, and has logged no content."""
        if self._ask() != self._answer:
            raise AssertionError("the answer to a plain request has changed")
        for name, process in self._processes.items():
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                raise AssertionError(f"{name} has ended: {self._replicas.output(name)[-2000:]}")
            growth = process.memory_info().rss - self._memory[name]
            if growth > _MAX_GROWTH:
                self._memory[name] += growth  # the next test is not to blame
                raise AssertionError(f"{name} holds {growth >> 20} MiB more than before")
            output = self._replicas.output(name)[self._seen[name] :]
            self._seen[name] += len(output)
            for word in (CANARY, "Traceback"):
                if word in output:
                    place = output.index(word)
                    raise AssertionError(f"{name} has logged {output[max(place - 300, 0) : place + 700]!r}")

    def _ask(self) -> str:
        answer = post(self._replicas.url + "/v1/chat/completions", _BODY)
        text: str = answer.json()["choices"][0]["message"]["content"]
        return text


def exchange(port: int, sent: bytes) -> Reply:
    """The answer to bytes that no HTTP client would send; ConnectionError if there is none."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        # Who refuses early does not read the rest.
        with suppress(ConnectionError):
            connection.sendall(sent)
        return answer_on(connection)


def answer_on(connection: socket.socket) -> Reply:
    """The next answer on a connection."""
    answer = HTTPConnection("raw").response_class(connection)
    answer.begin()
    return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


def refused(reply: Reply, status: int, code: str | None) -> bool:
    """Whether a refusal has its status and code, in OpenAI's envelope."""
    envelope = {"message", "type", "param", "code"}
    return set(reply.error) == envelope and (reply.status, reply.error["code"]) == (status, code)


def raised(channel: grpc.Channel, method: str, data: bytes, **options: Any) -> grpc.StatusCode:
    """The status of a call with these bytes as its message."""
    try:
        call: Any = channel.unary_stream(method)
        list(call(data, timeout=60, **options))
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def chat_request(text: str = CANARY, **fields: Any) -> chat_service_pb2.ChatRequest:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text=text)])
    given: dict[str, Any] = {"model": "simulated", "messages": [message], "max_tokens": 3}
    return chat_service_pb2.ChatRequest(**{**given, **fields})
