"""The callers of the soak: of many kinds, each answer compared token by token with the one that it must be."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import grpc

from chasqui.v1 import chat_service_pb2, chat_service_pb2_grpc
from edge.openai.decode import decode_chat_request
from edge.openai.request import to_chat_request
from tests.bench import load, other_apis
from tests.bench.other_apis import APIS, RESPONSES, Api
from tests.bench.soak_verdict import Failure
from tests.support.leaving import WAYS

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Sequence

    from tests.bench.soak_ledger import Counted

MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
PROMPTS = ("Who carried messages?", "Tell me of the Andes. " * 12, "跑得快 🦙", "Count the steps to Cusco. " * 60)
TOKENS = (1, 40, 150)
TOOLS = [{"type": "function", "function": {"name": "run", "description": "Run.", "parameters": {"type": "object"}}}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
_GO_ON = "Go on."
# A call takes a second; one that takes this long is lost.
_LIMIT = 60.0
_MOST_COUNTED = 200_000


class WrongAnswerError(Exception):
    """An answer has come whole, and is not the one that it must be."""


class BrokenError(Exception):
    """A call was refused or cut off."""


@dataclass
class Traffic:
    """Callers on a port, and what has become of their calls; `gaps` has the longest one of every streamed answer.

    Each call is made with the key or with one of its scoped tokens. Some of them continue responses if the service
    `stores` them.
    """

    port: int
    chance: random.Random
    key: str = "unused"
    stores: bool = False
    tokens: Sequence[str] = ()
    right: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    # Of whole answers by their id, for the ledger; of no more than fit.
    counted: dict[str, Counted] = field(default_factory=dict)
    _expected: dict[str, list[str]] = field(default_factory=dict)

    async def run(self, seconds: float, callers: int, *, leaving: bool = True) -> None:
        """So many callers at a time, each beginning its next call when its last has ended; some leave in the middle."""
        end = time.monotonic() + seconds
        async with self._channel() as channel:
            kinds = self._kinds(channel, leaving=leaving)
            await asyncio.gather(*(self._caller(kinds, end) for _ in range(callers)))

    async def run_each(self) -> None:
        """One call of every kind, all at once."""
        async with self._channel() as channel:
            await asyncio.gather(*(self._attempt(call) for call in self._kinds(channel, leaving=True)))

    async def learn(self) -> None:
        """Ask once for every answer that callers will compare with; to be done while nothing is killed."""
        bodies = [
            self._body(prompt, tokens, n=n, tools=tools)
            for n, tools in ((1, False), (3, False), (1, True))
            for prompt in PROMPTS
            for tokens in TOKENS
        ]
        answers = await asyncio.gather(*(self._post(body) for body in bodies))
        self._expected = {_key(body): _texts(answer) for body, answer in zip(bodies, answers, strict=True)}
        for api in APIS.values():
            for body in [api.body(prompt, tokens) for prompt in PROMPTS for tokens in TOKENS]:
                self._expected[_other_key(body)] = [await self._text(api, body)]
        for body in [self._conversation(prompt) for prompt in PROMPTS if self.stores]:
            self._expected[_other_key(body)] = [await self._text(RESPONSES, body)]

    async def gets_through(self) -> bool:
        """Whether a call does, over REST and over gRPC: Envoy looks after the edge and the chat server one by one."""
        try:
            async with asyncio.timeout(_LIMIT), self._channel() as channel:
                body = self._body(PROMPTS[0], 1, n=1, tools=False)
                await self._post(body)
                await _stub(channel).Chat(_chat(body), metadata=self._metadata())
        except (BrokenError, OSError, grpc.aio.AioRpcError, TimeoutError):
            return False
        return True

    def _channel(self) -> grpc.aio.Channel:
        """One that finds Envoy soon after a kill: by default it tries again after a second, then later and later."""
        soon = [(f"grpc.{name}_reconnect_backoff_ms", 100) for name in ("initial", "max")]
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options=[("grpc.enable_retries", 0), *soon])

    def _kinds(self, channel: grpc.aio.Channel, *, leaving: bool) -> Sequence[Callable[[], Awaitable[str]]]:
        """The calls of a caller, some kinds more often than others."""
        stub = _stub(channel)
        return (
            *(self.streamed, self.streamed, self.whole, self.tools, self.choices, self.structured),
            *(partial(call, name) for call in (self.api_streamed, self.api_whole) for name in APIS),
            *((self.conversation,) if self.stores else ()),
            *(self.bad_input, *((self.disconnect, self.disconnect) if leaving else ())),
            *(partial(self.grpc_whole, stub), partial(self.grpc_streamed, stub), partial(self.grpc_bad_input, channel)),
        )

    async def _caller(self, kinds: Sequence[Callable[[], Awaitable[str]]], end: float) -> None:
        while time.monotonic() < end:
            await self._attempt(self.chance.choice(kinds))

    async def _attempt(self, call: Callable[[], Awaitable[str]]) -> None:
        began = time.monotonic()
        # Any of these a caller may meet; what is none of them is a defect of the soak, and ends it.
        try:
            async with asyncio.timeout(_LIMIT):
                name = await call()
        except WrongAnswerError as error:
            self.failures.append(Failure(began, time.monotonic(), str(error), wrong=True))
        except (BrokenError, load.WrongAnswerError, OSError, grpc.aio.AioRpcError, TimeoutError) as error:
            self.failures.append(Failure(began, time.monotonic(), f"{type(error).__name__}: {error}"[:300]))
            await asyncio.sleep(0.05)
        else:
            self.right[name] += 1

    # Each kind is one call; it raises what has gone wrong, and returns its name.

    async def streamed(self) -> str:
        """REST, streamed."""
        body = self._chosen()
        [answer] = await load.stream_in_turn(self.port, {**body, "stream": True}, 1, key=self._credential())
        self._compare(body, [answer.text])
        self.gaps.append(max((later - earlier for earlier, later in pairwise(answer.arrivals)), default=0.0))
        return "streamed"

    async def whole(self) -> str:
        """REST, whole."""
        body = self._chosen()
        self._compare(body, _texts(await self._post(body)))
        return "whole"

    async def tools(self) -> str:
        """REST, streamed, with tools in the prompt."""
        body = self._chosen(tools=True)
        [answer] = await load.stream_in_turn(self.port, {**body, "stream": True}, 1, key=self._credential())
        self._compare(body, [answer.text])
        return "tools"

    async def choices(self) -> str:
        """REST, with n = 3."""
        body = self._chosen(n=3)
        self._compare(body, _texts(await self._post(body)))
        return "n = 3"

    async def api_streamed(self, name: str) -> str:
        """Another API, streamed."""
        body = self._chosen_of(APIS[name])
        text, gap, _ = await other_apis.stream(self.port, APIS[name], body, self._credential())
        self._compare_text(body, text)
        self.gaps.append(gap)
        return f"{name} streamed"

    async def api_whole(self, name: str) -> str:
        """Another API, whole."""
        body = self._chosen_of(APIS[name])
        self._compare_text(body, await self._text(APIS[name], body))
        return f"{name} whole"

    async def conversation(self) -> str:
        """A response that is stored and continued: the answer is that to the whole conversation."""
        prompt = self.chance.choice(PROMPTS)
        asked = {**RESPONSES.body(prompt, TOKENS[1]), "store": True}
        credential = self._credential()  # stored responses are those of one token, or of the key
        _, _, last = await other_apis.stream(self.port, RESPONSES, asked, credential)
        goes_on = {**RESPONSES.body(_GO_ON, TOKENS[1]), "previous_response_id": last["response"]["id"]}
        self._compare_text(self._conversation(prompt), await self._text(RESPONSES, goes_on, credential))
        return "conversation"

    async def structured(self) -> str:
        """Structured output, which this engine refuses by name."""
        await self._refused({**self._chosen(), "response_format": SCHEMA}, 400, "unsupported_parameter")
        return "structured"

    async def bad_input(self) -> str:
        """REST, with something wrong."""
        body, status, code = self.chance.choice(
            (
                ({"temperature": 9}, 400, "invalid_value"),
                ({"model": "nobody/knows"}, 404, "model_not_found"),
                ({"messages": [{"role": "user", "content": "too long " * 20_000}]}, 400, "context_length_exceeded"),
            )
        )
        await self._refused({**self._chosen(), **body}, status, code)
        return "bad input"

    async def disconnect(self) -> str:
        """A caller who goes away, in any way, at any moment."""
        name = self.chance.choice(list(WAYS))
        body = {**self._chosen(n=2), "max_tokens": 300}
        async with WAYS[name](self.port, body, f"leaver-{self.chance.getrandbits(32)}") as leave:
            await asyncio.sleep(self.chance.random() * 0.3)
            leave()
        return "disconnect"

    async def grpc_whole(self, stub: Any) -> str:
        """gRPC, whole."""
        body = self._chosen()
        answer = await stub.Chat(_chat(body), metadata=self._metadata())
        usage = answer.usage
        self._count(answer.id, usage.prompt_tokens, usage.completion_tokens, usage.estimated_cost)
        self._compare(body, [choice.message.content[0].text for choice in answer.choices])
        return "gRPC whole"

    async def grpc_streamed(self, stub: Any) -> str:
        """gRPC, streamed."""
        body = self._chosen()
        stream = stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=_chat(body)), metadata=self._metadata())
        self._compare(body, ["".join([event.delta.content async for part in stream for event in part.events])])
        return "gRPC streamed"

    async def grpc_bad_input(self, channel: grpc.aio.Channel) -> str:
        """gRPC, with bytes that are no message."""
        call: Any = channel.unary_unary("/chasqui.v1.ChatService/Chat")
        try:
            await call(b"\xff\xff\xff", metadata=self._metadata())
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
            return "gRPC bad input"
        raise WrongAnswerError("bytes that are no message were answered")

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._credential()}"),)

    def _credential(self) -> str:
        return self.chance.choice((self.key, *self.tokens))

    def _chosen(self, *, n: int = 1, tools: bool = False) -> dict[str, Any]:
        return self._body(self.chance.choice(PROMPTS), self.chance.choice(TOKENS), n=n, tools=tools)

    @staticmethod
    def _body(prompt: str, tokens: int, *, n: int, tools: bool) -> dict[str, Any]:
        return {**load.body(prompt, tokens, stream=False), "n": n, **({"tools": TOOLS} if tools else {})}

    def _chosen_of(self, api: Api) -> dict[str, Any]:
        return api.body(self.chance.choice(PROMPTS), self.chance.choice(TOKENS))

    def _conversation(self, prompt: str) -> dict[str, Any]:
        """The request that has a whole conversation in it."""
        [answer] = self._expected[_other_key(RESPONSES.body(prompt, TOKENS[1]))]
        turns = (("user", prompt), ("assistant", answer), ("user", _GO_ON))
        return RESPONSES.body([{"role": role, "content": content} for role, content in turns], TOKENS[1])

    def _compare_text(self, body: dict[str, Any], text: str) -> None:
        [expected] = self._expected[_other_key(body)]
        if text != expected:
            raise WrongAnswerError(f"expected {expected!r}, got {text!r}")

    def _compare(self, body: dict[str, Any], texts: list[str]) -> None:
        expected = self._expected[_key(body)]
        if texts != expected:
            raise WrongAnswerError(f"expected {expected!r}, got {texts!r}")

    async def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self._answered(body, load.CHAT)
        usage = answer["usage"]
        self._count(answer["id"], usage["prompt_tokens"], usage["completion_tokens"], usage["estimated_cost"])
        return answer

    async def _text(self, api: Api, body: dict[str, Any], credential: str = "") -> str:
        answer = await self._answered(body, api.path, credential)
        self._count(f"chatcmpl-{answer['id'].partition('_')[2]}", *api.counted(answer["usage"]))
        return api.whole(answer)

    async def _answered(self, body: dict[str, Any], path: str, credential: str = "") -> dict[str, Any]:
        status, answer = await self._exchange(body, path, credential)
        if status != 200:
            raise BrokenError(f"{status}: {answer}")
        return answer

    def _count(self, call_id: str, prompt_tokens: int, completion_tokens: int, cost: float) -> None:
        if len(self.counted) < _MOST_COUNTED:
            self.counted[call_id] = prompt_tokens, completion_tokens, cost

    async def _refused(self, body: dict[str, Any], status: int, code: str) -> None:
        given, answer = await self._exchange(body)
        if given >= 500:
            raise BrokenError(f"{given}: {answer}")
        if (given, answer.get("error", {}).get("code")) != (status, code):
            raise WrongAnswerError(f"expected {status} {code}, got {given} {answer}")

    async def _exchange(
        self, body: dict[str, Any], path: str = load.CHAT, credential: str = ""
    ) -> tuple[int, dict[str, Any]]:
        """The status and the JSON of an answer that is not streamed, on a connection of its own."""
        data = json.dumps(body).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            head = f"POST {path} HTTP/1.1\r\nhost: soak\r\nconnection: close\r\ncontent-type: application/json\r\n"
            head += f"authorization: Bearer {credential or self._credential()}\r\n"
            writer.write(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
            head, _, answer = (await reader.read(-1)).decode().partition("\r\n\r\n")
        finally:
            writer.close()
        try:
            return int(head.split(" ", 2)[1]), json.loads(answer)
        except (ValueError, IndexError):
            raise BrokenError(f"cut off: {head[:100]!r} {answer[:100]!r}") from None


def _stub(channel: grpc.aio.Channel) -> Any:
    return chat_service_pb2_grpc.ChatServiceStub(channel)


def _chat(body: dict[str, Any]) -> chat_service_pb2.ChatRequest:
    return to_chat_request(decode_chat_request(json.dumps(body).encode()).body)


def _key(body: dict[str, Any]) -> str:
    return json.dumps([body[name] for name in ("messages", "max_tokens", "n")] + ["tools" in body])


def _other_key(body: dict[str, Any]) -> str:
    return json.dumps(body)


def _texts(answer: dict[str, Any]) -> list[str]:
    return [choice["message"]["content"] for choice in answer["choices"]]
