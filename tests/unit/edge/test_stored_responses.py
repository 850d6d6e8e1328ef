"""Responses that are stored: what is kept of every kind of end, and what a request that continues them sends."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from chasqui.v1 import chat_pb2
from edge.app import build_app
from edge.endpoints.health import Health
from edge.http.event_stream import KeepAlive
from edge.responses import keeping
from edge.upstream.client import Upstream
from services.errors import EngineFailed
from services.telemetry.spans import untraced
from tests.support import events
from tests.support.asgi import Answer, Exchange
from tests.support.chat_server import FakeChatServer, running_chat_server
from tests.support.stored_responses import FakeResponses
from tests.support.writers import events_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.applications import Starlette

PATH = "/v1/responses"
FIRST = f"resp_{events.ANSWER_ID.removeprefix('chatcmpl-')}"
CUT = chat_pb2.FINISH_REASON_LENGTH
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False}


@dataclass
class Edge:
    """An edge that stores responses, and the server behind it."""

    app: Starlette
    server: FakeChatServer
    responses: FakeResponses

    def begin(self, method: str, target: str, body: bytes = b"", key: str = "ana") -> Exchange:
        return Exchange(self.app, method, target, headers={"authorization": f"Bearer {key}"}, body=[body])

    async def ask(self, key: str = "ana", **fields: Any) -> Answer:
        body = {"model": "m", "input": "Hi"} | fields
        return await self.begin("POST", PATH, json.dumps(body).encode(), key).answer()

    async def get(self, target: str, key: str = "ana", method: str = "GET") -> Answer:
        return await self.begin(method, f"{PATH}/{target}", key=key).answer()

    @property
    def stored(self) -> Any:
        """The one response that is stored, as JSON."""
        [response] = self.responses.by_id.values()
        return json.loads(response.body)

    def says(self, answer_id: str, *choices: chat_pb2.Choice) -> None:
        """The server's next answers, whole and streamed."""
        response = events.response(*choices)
        response.id = answer_id
        self.server.chat.response = response
        self.server.chat.batches = [events.events_of(response)]


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    async with running_chat_server(tmp_path) as server:
        upstream = Upstream(server.address, server.address)
        responses = FakeResponses()
        connection = asyncio.create_task(upstream.transport.run())
        try:
            while not upstream.transport.connected:  # noqa: ASYNC110 - no event to wait for
                await asyncio.sleep(0.001)
            app = build_app(upstream, Health(upstream), KeepAlive(10, 60), untraced(), responses=responses)
            yield Edge(app, server, responses)
        finally:
            connection.cancel()
            await upstream.close()


@pytest.mark.parametrize("store", [{}, {"store": True}, {"store": None}])
async def test_a_whole_answer_is_stored_as_it_is_answered(edge: Edge, store: dict[str, Any]) -> None:
    edge.says(events.ANSWER_ID, events.choice("Hello!"))
    answer = await edge.ask(**store)
    assert answer.json()["store"] is True
    found = await edge.get(FIRST)
    assert found.body == answer.body
    assert found.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("choice", "status"), [(events.choice("Hello!"), "completed"), (events.choice("Hel", reason=CUT), "incomplete")]
)
async def test_a_stream_is_stored_as_its_last_event_has_it(edge: Edge, choice: chat_pb2.Choice, status: str) -> None:
    edge.says(events.ANSWER_ID, choice)
    (kind, last) = events_in((await edge.ask(stream=True)).body)[-1]
    assert kind == f"response.{status}"
    assert last["response"] == json.loads((await edge.get(FIRST)).body)
    assert last["response"]["store"] is True


async def test_a_stream_that_fails_is_stored_with_what_it_had(edge: Edge) -> None:
    edge.server.chat.batches = [[events.started(), events.delta("Hel")]]
    edge.server.chat.failure = EngineFailed("It broke.")
    (kind, last) = events_in((await edge.ask(stream=True)).body)[-1]
    assert (kind, last["response"]) == ("response.failed", edge.stored)
    assert edge.stored["error"] == {"code": "server_error", "message": "It broke."}
    assert edge.stored["output"][0]["content"][0]["text"] == "Hel"


async def test_a_stream_whose_caller_goes_away_is_stored_as_cancelled(edge: Edge) -> None:
    edge.server.chat.batches = [[events.started(), events.delta("Hel")]]
    edge.server.chat.hangs = True
    exchange = edge.begin("POST", PATH, json.dumps({"model": "m", "input": "Hi", "stream": True}).encode())
    seen = b""
    while b"Hel" not in seen:
        message = await exchange.next()
        assert message is not None
        seen += message.get("body", b"")
    exchange.hang_up()
    await exchange.end()
    assert (edge.stored["status"], edge.stored["error"]) == ("cancelled", None)
    assert edge.stored["output"][0]["content"][0]["text"] == "Hel"


async def test_a_caller_who_goes_away_while_its_response_is_stored_has_it_stored_once(edge: Edge) -> None:
    edge.responses.stuck = True
    exchange = edge.begin("POST", PATH, json.dumps({"model": "m", "input": "Hi", "stream": True}).encode())
    while not edge.responses.begun:  # noqa: ASYNC110 - no event to wait for
        await asyncio.sleep(0.001)
    exchange.hang_up()
    await exchange.end()
    [saved] = edge.responses.begun
    assert not saved.cancelled()


@pytest.mark.parametrize("fields", [{"store": False}, {"store": False, "stream": True}])
async def test_what_is_not_to_be_stored_is_not(edge: Edge, fields: dict[str, Any]) -> None:
    answer = await edge.ask(**fields)
    assert b'"store":false' in answer.body
    assert b'"store":true' not in answer.body
    assert edge.responses.begun == []


async def test_a_refused_or_failed_call_that_is_not_streamed_leaves_nothing(edge: Edge) -> None:
    edge.server.chat.failure = EngineFailed("It broke.")
    assert (await edge.ask()).status == 500
    assert (await edge.ask(temperature="hot")).status == 400
    assert edge.responses.begun == []


@pytest.mark.parametrize("stream", [False, True])
async def test_while_the_database_is_away_a_call_is_refused_only_if_it_demands_to_be_stored(
    edge: Edge, stream: bool
) -> None:
    edge.responses.away = True
    refused = await edge.ask(store=True, stream=stream)
    assert (refused.status, refused.json()["error"]["code"]) == (503, "store_unavailable")
    assert refused.headers["retry-after"] == "1"
    assert edge.server.chat.calls == []
    answer = await edge.ask(stream=stream)
    assert answer.status == 200
    last = events_in(answer.body)[-1][1]["response"] if stream else answer.json()
    assert (last["status"], last["store"]) == ("completed", False)
    continued = await edge.ask(previous_response_id="resp_1", stream=stream)
    assert continued.status == 503


@pytest.mark.parametrize("stream", [False, True])
async def test_a_database_that_stands_still_delays_the_end_of_an_answer_and_no_more(
    edge: Edge, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MOST_SECONDS", 0.01)
    edge.responses.stuck = True
    answer = await edge.ask(store=True, stream=stream)
    last = events_in(answer.body)[-1][1]["response"] if stream else answer.json()
    assert (last["status"], last["store"]) == ("completed", False)
    assert edge.responses.begun[0].cancelled()


def turns(edge: Edge) -> list[tuple[str, str, list[str], str]]:
    """Role, text, calls and call id of the messages of the last call that reached the server."""
    return [
        (
            chat_pb2.Role.Name(message.role)[5:].lower(),
            "".join(part.text for part in message.content),
            [call.function.arguments for call in message.tool_calls],
            message.tool_call_id,
        )
        for message in edge.server.chat.calls[-1].request.messages
    ]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_is_continued_with_its_inputs_and_outputs_but_without_old_instructions(
    edge: Edge, stream: bool
) -> None:
    called = events.choice("I look.", reason=chat_pb2.FINISH_REASON_TOOL_CALLS)
    called.message.tool_calls.add(id="c1").function.arguments = '{"n": 1}'
    called.message.tool_calls[0].function.name = "look"
    edge.says(events.ANSWER_ID, called)
    parts = [{"type": "input_text", "text": "What "}, {"type": "input_text", "text": "is there?"}]
    await edge.ask(
        input=[{"role": "developer", "content": "d"}, {"role": "user", "content": parts}],
        instructions="old",
        tools=[LOOK],
        stream=stream,
    )
    edge.says("chatcmpl-2", events.choice("A llama."))
    output = {"type": "function_call_output", "call_id": "c1", "output": "a llama"}
    await edge.ask(input=[output], previous_response_id=FIRST, tools=[LOOK], stream=stream)
    edge.says("chatcmpl-3", events.choice("Woolly."))
    answer = await edge.ask(
        input="Describe it.", instructions="new", previous_response_id="resp_2", store=False, stream=stream
    )
    assert answer.status == 200
    assert turns(edge) == [
        ("system", "new", [], ""),
        ("developer", "d", [], ""),
        ("user", "What is there?", [], ""),
        ("assistant", "I look.", ['{"n": 1}'], ""),
        ("tool", "a llama", [], "c1"),
        ("assistant", "A llama.", [], ""),
        ("user", "Describe it.", [], ""),
    ]
    second = edge.responses.by_id["resp_2"]
    assert (second.previous, second.depth) == (FIRST, 2)
    assert second.conversation_characters == second.size + edge.responses.by_id[FIRST].size
    assert set(edge.responses.by_id) == {FIRST, "resp_2"}
    assert json.loads(second.body)["previous_response_id"] == FIRST


async def test_a_response_is_continued_and_read_by_its_key_alone(edge: Edge) -> None:
    edge.says(events.ANSWER_ID, events.choice("Hello!"))
    await edge.ask()
    calls = len(edge.server.chat.calls)
    for key, response_id in (("bob", FIRST), ("ana", "resp_none")):
        for method, target in (("GET", ""), ("GET", "/input_items"), ("DELETE", ""), ("POST", "/cancel")):
            answer = await edge.get(f"{response_id}{target}", key, method)
            assert (answer.status, answer.json()["error"]["code"]) == (404, "not_found"), (method, target)
        answer = await edge.ask(key, previous_response_id=response_id)
        error = answer.json()["error"]
        assert (answer.status, error["code"]) == (400, "previous_response_not_found")
        assert error["param"] == "previous_response_id"
    assert len(edge.server.chat.calls) == calls
    assert (await edge.get(FIRST)).status == 200


async def test_the_items_of_a_response_are_paged_in_both_orders_with_those_before_it(edge: Edge) -> None:
    edge.says(events.ANSWER_ID, events.choice("Hello!"))
    await edge.ask(input=[{"role": "user", "content": "One"}, {"type": "reasoning", "summary": []}])
    edge.says("chatcmpl-2", events.choice("Hello again!"))
    history = [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Two"}]
    await edge.ask(input=history, previous_response_id=FIRST)
    listed = (await edge.get("resp_2/input_items?order=asc")).json()
    assert (listed["object"], listed["has_more"]) == ("list", False)
    shown = [(item["role"], item["content"][0]["type"], item["content"][0]["text"]) for item in listed["data"]]
    assert shown == [
        ("user", "input_text", "One"),
        ("assistant", "output_text", "Hello!"),
        ("assistant", "output_text", "Yes."),
        ("user", "input_text", "Two"),
    ]
    ids = [item["id"] for item in listed["data"]]
    assert (listed["first_id"], listed["last_id"], len(set(ids))) == (ids[0], ids[-1], 4)
    seen: list[str] = []
    target, more = "resp_2/input_items?limit=3", ""
    while True:
        page = (await edge.get(target + more)).json()
        seen += [item["id"] for item in page["data"]]
        more = f"&after={page['last_id']}"
        if not page["has_more"]:
            break
    assert seen == list(reversed(ids))
    assert len((await edge.get(f"{FIRST}/input_items")).json()["data"]) == 1
    empty = (await edge.get(target + f"&after={ids[0]}")).json()
    assert (empty["data"], empty["first_id"], empty["has_more"]) == ([], None, False)


@pytest.mark.parametrize(
    ("target", "param", "code"),
    [
        ("?stream=true", "stream", "unsupported_parameter"),
        ("?starting_after=4", "starting_after", "unsupported_parameter"),
        ("/input_items?limit=0", "limit", "invalid_value"),
        ("/input_items?limit=101", "limit", "invalid_value"),
        ("/input_items?order=up", "order", "invalid_value"),
        ("/input_items?after=msg_none", "after", "invalid_value"),
        ("/input_items?before=msg_1", "before", "unsupported_parameter"),
    ],
)
async def test_a_wrong_parameter_is_refused_by_name(edge: Edge, target: str, param: str, code: str) -> None:
    edge.says(events.ANSWER_ID, events.choice("Hello!"))
    await edge.ask()
    answer = await edge.get(FIRST + target)
    error = answer.json()["error"]
    assert (answer.status, error["param"], error["code"]) == (400, param, code)


async def test_other_parameters_are_accepted_and_unknown_ones_named(edge: Edge) -> None:
    edge.says(events.ANSWER_ID, events.choice("Hello!"))
    await edge.ask()
    known = await edge.get(f"{FIRST}?stream=false&include[]=message.output_text.logprobs&include_obfuscation=true")
    assert (known.status, known.headers.get("x-ignored-parameters")) == (200, None)
    unknown = await edge.get(f"{FIRST}/input_items?nobody=1")
    assert (unknown.status, unknown.headers["x-ignored-parameters"]) == (200, "nobody")


async def test_a_response_is_deleted_once_and_never_cancelled(edge: Edge) -> None:
    edge.says(events.ANSWER_ID, events.choice("Hello!"))
    await edge.ask()
    cancelled = await edge.get(f"{FIRST}/cancel", method="POST")
    assert (cancelled.status, cancelled.json()["error"]["param"]) == (400, "id")
    assert "background" in cancelled.json()["error"]["message"]
    deleted = await edge.get(FIRST, method="DELETE")
    assert deleted.json() == {"id": FIRST, "object": "response", "deleted": True}
    assert (await edge.get(FIRST, method="DELETE")).status == 404


@pytest.mark.parametrize("name", ["compact", "input_tokens"])
async def test_what_openai_has_beside_responses_and_this_service_has_not_is_404(edge: Edge, name: str) -> None:
    answer = await edge.begin("POST", f"{PATH}/{name}", b'{"model": "m", "input": "Hi"}').answer()
    error = answer.json()["error"]
    assert (answer.status, error["code"], error["message"]) == (
        404,
        "not_found",
        f"There is no endpoint at {PATH}/{name}.",
    )


async def test_log_probabilities_are_stored_with_the_text(edge: Edge) -> None:
    choice = events.choice("Hi")
    choice.logprobs.content.add(token="Hi", logprob=-0.5, bytes=b"Hi")
    edge.says(events.ANSWER_ID, choice)
    include = ["message.output_text.logprobs"]
    for stream in (False, True):
        edge.responses.by_id.clear()
        await edge.ask(include=include, stream=stream)
        [entry] = edge.stored["output"][0]["content"][0]["logprobs"]
        assert entry == {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
