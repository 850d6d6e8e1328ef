"""Hostile callers: each sends one input again and again, and only a bounded refusal or answer may come of it.

All bodies are built before the siege, and all is sent by a process of its own: neither delays the callers beside it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import h2.config
import h2.connection
import h2.events
import uvloop

from chasqui.v1 import chat_pb2, chat_service_pb2, model_service_pb2, tool_pb2
from tests.bench.load import CHAT
from tests.bench.soak_verdict import Failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

KEY = "hostile-key"
MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
COMPLETIONS = "/v1/completions"
RESPONSES = "/v1/responses"
ANTHROPIC = "/v1/messages"
# Bodies may have 8 MiB.
_LARGE = 7_500_000
# Refusals quote what was sent only in part.
_LONGEST_REFUSAL = 16_384
_LIMIT = 120.0
# Seconds from one input of a caller to its next. All of them without a pause would only show that two cores are busy.
PACE = 3.0
_MESSAGES: list[dict[str, object]] = [{"role": "user", "content": "Hello!"}]
# The server refuses, or has no room; anything else is a fault.
_JUDGED = frozenset({200, 400, 404, 413, 429, 503, 504})
_REFUSED = frozenset({400, 413})
_RPC_JUDGED = frozenset(
    {
        grpc.StatusCode.OK,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)


@dataclass(frozen=True, slots=True)
class Attack:
    """A REST request as bytes, and the statuses that it may have."""

    name: str
    request: bytes
    statuses: frozenset[int] = _JUDGED


@dataclass(frozen=True, slots=True)
class RpcAttack:
    """A message for a method, and the statuses that it may have."""

    name: str
    method: str
    message: bytes
    codes: frozenset[grpc.StatusCode] = _RPC_JUDGED
    key: str = KEY


def _post(path: str, body: bytes | Mapping[str, object], key: str = KEY, **headers: str) -> bytes:
    """A POST request on a connection of its own."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "host: siege", "connection: close", "content-type: application/json"]
    lines += [f"authorization: Bearer {key}"] if key else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"content-length: {len(data)}", "", ""]).encode() + data


def _chat(**fields: object) -> dict[str, object]:
    return {"model": MODEL, "messages": _MESSAGES, "max_tokens": 3, **fields}


def _completion(**fields: object) -> dict[str, object]:
    return {"model": MODEL, "max_tokens": 3, **fields}


def _with_json(body: Mapping[str, object], text: str) -> bytes:
    """A body in which `text` stands for the value "HERE"."""
    return json.dumps(body).replace('"HERE"', text).encode()


def _tool(parameters: object) -> dict[str, object]:
    return {"type": "function", "function": {"name": "f", "parameters": parameters}}


def _nested(depth: int) -> str:
    return '{"type":"object","properties":{"a":' * depth + "{}" + "}}" * depth


def _called(arguments: str) -> list[dict[str, object]]:
    """A history in which the assistant called a function with these arguments."""
    call = {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return [
        *_MESSAGES,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_0", "content": "done"},
    ]


def attacks(longest: int) -> list[Attack]:
    """Every hostile REST request; answers have at most `longest` tokens."""
    messages = _with_json(
        _chat(messages="HERE"), '[{"role":"user","content":""}' + ',{"role":"user","content":""}' * 219_999 + "]"
    )
    tools = [_tool({"type": "object", "properties": {f"p{index}": {}}}) for index in range(70_000)]
    ids = "[65" + ",65" * 1_499_999 + "]"
    many = _completion(prompt=["a", "b", "c", "d"], n=4, max_tokens=longest, logprobs=20, ignore_eos=True)
    return [
        Attack("16 long answers with logprobs", _post(COMPLETIONS, many)),
        Attack(
            "an echo of 300 KB, four times", _post(COMPLETIONS, _completion(prompt="ab " * 100_000, n=4, echo=True))
        ),
        Attack("220,000 messages without a key", _post(CHAT, messages, key=""), frozenset({401})),
        Attack("220,000 messages with a wrong key", _post(CHAT, messages, key="wrong"), frozenset({401})),
        Attack("220,000 messages", _post(CHAT, messages), _REFUSED),
        Attack("70,000 tools", _post(CHAT, _chat(tools=tools)), _REFUSED),
        Attack("7.5 MB to tokenize", _post("/tokenize", {"model": MODEL, "prompt": "ab " * (_LARGE // 3)})),
        Attack(
            "7.5 MB to tokenize in 10 ms",
            _post("/tokenize", {"model": MODEL, "prompt": "ab " * (_LARGE // 3)}, x_request_timeout="0.01"),
        ),
        Attack(
            "1,500,000 tokens to detokenize", _post("/detokenize", _with_json({"model": MODEL, "tokens": "HERE"}, ids))
        ),
        Attack("a model's name of 3 MB", _post(CHAT, _chat(model="x" * 3_000_000)), frozenset({400, 404})),
        Attack(
            "a token id of 3,000 digits",
            _post(COMPLETIONS, _with_json(_completion(prompt="HERE"), f"[{'9' * 3000}]")),
            _REFUSED,
        ),
        Attack("a role of 3 MB", _post(CHAT, _chat(messages=[{"role": "x" * 3_000_000}])), _REFUSED),
        *(
            Attack(
                f"tool parameters {depth} deep", _post(CHAT, _with_json(_chat(tools=[_tool("HERE")]), _nested(depth)))
            )
            for depth in (100, 300, 700, 30_000)
        ),
        *(
            Attack(f"arguments {depth} deep", _post(CHAT, _chat(messages=_called('{"a":' * depth + "1" + "}" * depth))))
            for depth in (300, 900, 30_000)
        ),
        Attack(
            "a call that was cut, as history", _post(CHAT, _chat(messages=_called('{"city": "Par'))), frozenset({200})
        ),
        Attack("a call without arguments, as history", _post(CHAT, _chat(messages=_called(""))), frozenset({200})),
        Attack("a lone surrogate in arguments", _post(CHAT, _chat(messages=_called('{"a": "\\ud800"}')))),
        *_on_other_apis(longest),
    ]


def _on_other_apis(longest: int) -> list[Attack]:
    """Those of Responses, which are stored, and of Messages."""
    turn = '{"role":"user","content":""}'
    turns = f"[{turn}" + f",{turn}" * 219_999 + "]"
    response: dict[str, object] = {"model": MODEL, "input": "Hello!", "max_output_tokens": 3}
    message: dict[str, object] = {"model": MODEL, "messages": _MESSAGES, "max_tokens": 3}
    use = {"type": "tool_use", "id": "t", "name": "f", "input": "HERE"}
    called = [*_MESSAGES, {"role": "assistant", "content": [use]}, *_MESSAGES]
    scored = response | {
        "max_output_tokens": longest,
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 20,
    }
    return [
        Attack("220,000 items", _post(RESPONSES, _with_json(response | {"input": "HERE"}, turns)), _REFUSED),
        Attack("220,000 turns", _post(ANTHROPIC, _with_json(message | {"messages": "HERE"}, turns)), _REFUSED),
        Attack("a long response with logprobs", _post(RESPONSES, scored)),
        Attack("a long stream with logprobs", _post(RESPONSES, scored | {"stream": True})),
        Attack(
            "a response's id of 3 MB",
            _post(RESPONSES, response | {"previous_response_id": "x" * 3_000_000}),
            frozenset({400}),
        ),
        *(
            Attack(
                f"an input {depth} deep",
                _post(ANTHROPIC, _with_json(message | {"messages": called}, '{"a":' * depth + "1" + "}" * depth)),
            )
            for depth in (900, 30_000)
        ),
    ]


def rpc_attacks(longest: int) -> list[RpcAttack]:
    """Every hostile RPC; answers have at most `longest` tokens."""
    chat = partial(_message, "/chasqui.v1.ChatService/Chat")
    counted = model_service_pb2.CountTokensRequest(model=MODEL, text="ab " * (_LARGE // 3))
    function = tool_pb2.FunctionTool(name="f", parameters_json=_nested(700))
    return [
        chat("2,600,000 stop sequences", stop=[""] * 2_600_000),
        chat("2,600,000 stop sequences without a key", key="", stop=[""] * 2_600_000),
        chat("tool parameters 700 deep over gRPC", tools=[tool_pb2.Tool(function=function)]),
        chat(
            "four long answers with logprobs",
            n=4,
            max_tokens=longest,
            ignore_eos=True,
            logprobs=True,
            top_logprobs=20,
        ),
        RpcAttack("7.5 MB to count", "/chasqui.v1.ModelService/CountTokens", counted.SerializeToString()),
        RpcAttack("bytes that are no message", "/chasqui.v1.ChatService/Chat", b"\xff" * 1000),
    ]


def _message(method: str, name: str, *, key: str = KEY, **fields: Any) -> RpcAttack:
    asked = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    defaults: dict[str, Any] = {"model": MODEL, "messages": [asked], "max_tokens": 3}
    message = chat_service_pb2.ChatRequest(**(defaults | fields)).SerializeToString()
    return RpcAttack(name, method, message, _RPC_JUDGED if key else frozenset({grpc.StatusCode.UNAUTHENTICATED}), key)


@dataclass
class HostileTraffic:
    """All attacks at once on a port, and what has become of them."""

    port: int
    longest: int = 4000
    answered: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    async def run(self, seconds: float) -> None:
        """Every attack again and again, each at most once in PACE seconds."""
        rest, rpcs = attacks(self.longest), rpc_attacks(self.longest)
        end = time.monotonic() + seconds
        options = [
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
            ("grpc.enable_retries", 0),
        ]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options=options) as channel:
            calls: list[tuple[str, Callable[[], Awaitable[str]]]] = [
                *((attack.name, partial(self._send, attack)) for attack in rest),
                *((attack.name, partial(self._call, channel, attack)) for attack in rpcs),
                ("methods that nobody knows", self._unknown_methods),
            ]
            await asyncio.gather(*(self._repeat(name, call, end) for name, call in calls))

    async def _repeat(self, name: str, call: Callable[[], Awaitable[str]], end: float) -> None:
        while time.monotonic() < end:
            began = time.monotonic()
            try:
                async with asyncio.timeout(_LIMIT):
                    fault = await call()
            except (OSError, TimeoutError) as error:
                fault = repr(error)
            if fault:
                self.failures.append(Failure(began, time.monotonic(), f"{name}: {fault}"[:300], wrong=True))
                await asyncio.sleep(0.05)
            self.answered[name] += 1
            await asyncio.sleep(min(began + PACE, end) - time.monotonic())

    async def _send(self, attack: Attack) -> str:
        """What is wrong with the answer, or nothing."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(attack.request)
            head = await reader.readuntil(b"\r\n\r\n")
            size = 0
            while data := await reader.read(1 << 20):
                size += len(data)
        except asyncio.IncompleteReadError as error:
            return f"no answer, but {error.partial[:100]!r}"
        finally:
            writer.close()
        status = int(head.split(b" ", 2)[1])
        if status not in attack.statuses:
            return f"status {status}"
        return f"{size} bytes with status {status}" if status != 200 and size > _LONGEST_REFUSAL else ""

    async def _call(self, channel: grpc.aio.Channel, attack: RpcAttack) -> str:
        """What is wrong with the answer, or nothing."""
        metadata = (("authorization", f"Bearer {attack.key}"),) if attack.key else ()
        method: Any = channel.unary_unary(attack.method)
        code, details = grpc.StatusCode.OK, ""
        try:
            await method(attack.message, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            code, details = error.code(), error.details() or ""
        if code not in attack.codes:
            return f"{code}: {details}"
        return f"{len(details)} characters with {code}" if len(details) > _LONGEST_REFUSAL else ""

    async def _unknown_methods(self) -> str:
        """A connection with 50 requests, each of a method of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        connection.initiate_connection()
        number = self.answered["methods that nobody knows"]
        for stream in range(50):
            head = [(":scheme", "http"), (":path", CHAT), (":authority", "siege")]
            connection.send_headers(2 * stream + 1, [(":method", f"FOO{number}X{stream}"), *head], end_stream=True)
        writer.write(connection.data_to_send())
        left = 50
        try:
            while left and (data := await reader.read(1 << 16)):
                for event in connection.receive_data(data):
                    left -= isinstance(event, h2.events.StreamEnded | h2.events.StreamReset)
                with suppress(ConnectionError):
                    writer.write(connection.data_to_send())
        finally:
            writer.close()
        return f"{left} of 50 requests without an answer" if left else ""


def hostile_traffic(port: int, longest: int, seconds: float) -> HostileTraffic:
    """Traffic that has run for so many seconds; blocking, in a process that has the CPUs when nothing else needs them.

    Its callers would be on other machines: here they must not take the CPUs from the service and its normal callers.
    """
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(19)
    traffic = HostileTraffic(port, longest)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(traffic.run(seconds))
    return traffic
