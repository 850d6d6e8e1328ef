"""The load generator: streamed calls over raw sockets, kept as they arrive and checked token by token afterwards."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from openai import AsyncOpenAI

CHAT = "/v1/chat/completions"
_MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
# The longest time that one stream may take, in seconds.
_LIMIT = 300.0
# Of no bytes, with the end of the one before it: a head may end in `max=100`.
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class WrongAnswerError(Exception):
    """A token was lost, doubled or moved, or an answer was refused."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A streamed answer. Times are in seconds; `arrivals` has one for every event that brought text."""

    text: str
    completion_tokens: int
    ttft: float
    arrivals: list[float]


def body(prompt: str, tokens: int, *, stream: bool = True) -> dict[str, Any]:
    """A request for exactly `tokens` tokens."""
    return {
        "model": _MODEL,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "stream": stream,
    }


async def stream_many(port: int, request: dict[str, Any], count: int) -> list[Answer]:
    """So many streams at once, each on a connection of its own."""
    raw = await asyncio.gather(*(receive(port, request) for _ in range(count)))
    # Nothing is decoded while it is measured: the load generator shares the processors with what it loads.
    return [_answer(began, pieces) for began, pieces in raw]


async def stream_in_turn(port: int, request: dict[str, Any], count: int, *, key: str = "unused") -> list[Answer]:
    """So many streams, one after the other."""
    return [_answer(*(await receive(port, request, key))) for _ in range(count)]


async def stream_by_callers(port: int, request: dict[str, Any], callers: int, count: int, key: str = "unused") -> None:
    """So many streams in all, each caller beginning its next when its last has ended."""

    async def call() -> None:
        for _ in range(count // callers):
            _answer(*(await receive(port, request, key)))

    await asyncio.gather(*(call() for _ in range(callers)))


async def first_tokens_over_grpc(target: str, prompt: str, count: int) -> list[float]:
    """Seconds to the first token of so many StreamChat calls of one token, one after the other."""
    seconds = []
    async with grpc.aio.insecure_channel(target) as channel:
        stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
        streamed = chat_service_pb2.StreamChatRequest(chat=_chat(prompt, 1))
        for _ in range(count):
            began = time.perf_counter()
            arrivals = [
                time.perf_counter()
                async for message in stub.StreamChat(streamed)
                if any(event.delta.content for event in message.events)
            ]
            seconds.append(arrivals[0] - began)
    return seconds


async def first_text(client: AsyncOpenAI, tokens: int, **fields: Any) -> float | None:
    """Seconds to the first text of a streamed chat of so many tokens; None if it has no text."""
    began, first = time.perf_counter(), None
    stream: Any = await client.chat.completions.create(
        model=_MODEL,
        messages=[{"role": "user", "content": "Hello!"}],
        max_tokens=tokens,
        stream=True,
        extra_body={"ignore_eos": True},
        **fields,
    )
    async for chunk in stream:
        if first is None and chunk.choices and chunk.choices[0].delta.content:
            first = time.perf_counter() - began
    return first


async def preparation_over_grpc(target: str, prompt: str, count: int) -> list[float]:
    """Seconds that the server spends before it queues each of so many calls at once; they ask for no token."""
    async with grpc.aio.insecure_channel(target) as channel:
        stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
        answers = await asyncio.gather(*(stub.Chat(_chat(prompt, 0)) for _ in range(count)))
    return [answer.timings.tokenize.ToTimedelta().total_seconds() for answer in answers]


def _chat(prompt: str, tokens: int) -> chat_service_pb2.ChatRequest:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text=prompt)])
    return chat_service_pb2.ChatRequest(model=_MODEL, messages=[message], max_tokens=tokens, ignore_eos=True)


def check(answers: list[Answer], expected: str, tokens: int) -> None:
    """WrongAnswerError unless every answer is the expected one, whole; the simulated engine's depends on the prompt."""
    for answer in answers:
        if answer.text != expected or answer.completion_tokens != tokens:
            raise WrongAnswerError(
                f"expected {tokens} tokens {expected!r}, got {answer.completion_tokens} {answer.text!r}"
            )


async def receive(
    port: int, request: dict[str, Any], key: str = "unused", path: str = CHAT
) -> tuple[float, list[tuple[float, bytes]]]:
    """When the call began, and everything that came, piece by piece with its time."""
    data = json.dumps(request).encode()
    began = time.perf_counter()
    async with asyncio.timeout(_LIMIT):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        head += f"authorization: Bearer {key}\r\n"
        writer.write(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
        pieces: list[tuple[float, bytes]] = []
        tail = b""
        try:
            while True:
                piece = await reader.read(262144)
                pieces.append((time.perf_counter(), piece))
                tail = (tail + piece)[-len(_LAST_CHUNK) :]
                # The end of the chunked body, or of a refusal.
                if not piece or tail == _LAST_CHUNK or (len(pieces) == 1 and b" 200 OK" not in piece[:20]):
                    return began, pieces
        finally:
            writer.close()


def _answer(began: float, pieces: list[tuple[float, bytes]]) -> Answer:
    """Decode what came."""
    texts, tokens, arrivals, last = [], 0, [], b""
    for moment, event in events_in(pieces):
        last = event.removeprefix(b"data: ")
        if event.startswith(b"data: {"):
            content, usage = _content(last)
            tokens = usage or tokens
            if content:
                texts.append(content)
                arrivals.append(moment)
    if last != b"[DONE]" or not arrivals:
        raise WrongAnswerError(f"the stream ends without [DONE]: {pieces[-1][1][-300:]!r}")
    return Answer("".join(texts), tokens, arrivals[0] - began, arrivals)


def events_in(pieces: list[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
    """The server-sent events of a streamed answer, with their times; WrongAnswerError if it was refused."""
    head, _, first = pieces[0][1].partition(b"\r\n\r\n")
    if b" 200 OK" not in head:
        raise WrongAnswerError(pieces[0][1].decode(errors="replace"))
    return _events([(pieces[0][0], first), *pieces[1:]])


def _events(pieces: Iterable[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
    """The server-sent events in a body with chunked transfer coding (RFC 9112, section 7.1), with their times."""
    raw, body = b"", b""
    for moment, piece in pieces:
        raw += piece
        while (line := raw.find(b"\r\n")) >= 0:
            begin, size = line + 2, int(raw[:line], 16)
            if len(raw) < begin + size + 2:
                break
            body += raw[begin : begin + size]
            raw = raw[begin + size + 2 :]
        *events, body = body.split(b"\n\n")
        for event in events:
            yield moment, event


def _content(payload: bytes) -> tuple[str, int]:
    """The text of a chunk, and the number of completion tokens if it carries usage."""
    chunk = json.loads(payload)
    if "error" in chunk:
        raise WrongAnswerError(payload.decode())
    usage = chunk.get("usage") or {}
    choices = chunk["choices"]
    return (choices[0]["delta"].get("content") or "") if choices else "", usage.get("completion_tokens", 0)
