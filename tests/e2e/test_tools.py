"""Tool calls through the real Envoy and edge with the real `openai` client, on answers that a script gives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from tests.support.front import served
from tests.support.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

WEATHER = {"name": "get_weather", "parameters": {"city": "São Paulo", "days": 3}}
TIME = {"name": "get_time", "parameters": {"zone": "UTC"}}
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": name, "description": "d", "parameters": {"type": "object"}}}
    for name in ("get_weather", "get_time")
]
QUESTION: list[Any] = [{"role": "user", "content": "Weather and time, please."}]
ANSWERS = {
    "one call": json.dumps(WEATHER),
    "two calls": f"{json.dumps(WEATHER)}; {json.dumps(TIME)}",
    "text and a call": f"Let me see.\n{json.dumps(WEATHER)}",
    "no call": "It is sunny.",
    "JSON that is no call": '{"weather": "sunny"}',
}


class Rig:
    """A client, and what the engine is to say next."""

    def __init__(
        self, client: AsyncOpenAI, engine: ScriptedEngine, answers: list[Sequence[str]], prompts: list[str]
    ) -> None:
        self.client = client
        self.engine = engine
        self.answers = answers
        self.prompts = prompts

    async def whole(self, **fields: Any) -> Any:
        return await self.client.chat.completions.create(**({"model": "scripted", "messages": QUESTION} | fields))

    async def streamed(self, **fields: Any) -> Any:
        """The answer of a stream, folded by the client's own helper for streams."""
        stream = await self.whole(stream=True, **fields)
        choices: dict[int, dict[str, Any]] = {}
        async for chunk in stream:
            for choice in chunk.choices:
                folded = choices.setdefault(choice.index, {"content": "", "calls": {}, "finish": []})
                folded["content"] += choice.delta.content or ""
                folded["finish"] += [choice.finish_reason] if choice.finish_reason else []
                for call in choice.delta.tool_calls or ():
                    known = folded["calls"].setdefault(call.index, {"id": call.id, "name": "", "arguments": ""})
                    known["name"] += (call.function.name or "") if call.function else ""
                    known["arguments"] += (call.function.arguments or "") if call.function else ""
        return choices


# One service for all tests, and therefore one event loop.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    answers: list[Sequence[str]] = []
    prompts: list[str] = []

    def script(prompt: str) -> Sequence[str]:
        prompts.append(prompt)
        return answers.pop(0) if len(answers) > 1 else answers[0]

    engine = ScriptedEngine(script)
    directory: Path = tmp_path_factory.mktemp("s")
    async with (
        served(engine, directory) as url,
        AsyncOpenAI(base_url=url + "/v1", api_key="unused", max_retries=0) as client,
    ):
        yield Rig(client, engine, answers, prompts)


async def test_streamed_and_whole_answers_agree_for_every_kind_of_answer_cut_and_number_of_choices(rig: Rig) -> None:
    for answer in ANSWERS.values():
        for size in (1, 5, 1000):
            for parallel in (True, False):
                for n in (1, 2):
                    rig.answers[:] = [[answer[at : at + size] for at in range(0, len(answer), size)]]
                    fields = {"tools": TOOLS, "parallel_tool_calls": parallel, "n": n}
                    whole, streamed = await rig.whole(**fields), await rig.streamed(**fields)
                    for choice in whole.choices:
                        calls = [
                            (call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()
                        ]
                        seen = streamed[choice.index]
                        assert seen["content"] == (choice.message.content or "")
                        assert [(call["name"], call["arguments"]) for call in seen["calls"].values()] == calls
                        assert seen["finish"] == [choice.finish_reason]
                        assert (choice.finish_reason == "tool_calls") is bool(calls)
                        assert len(calls) <= 1 or parallel


async def test_arguments_come_verbatim_and_content_is_null_beside_calls_alone(rig: Rig) -> None:
    rig.answers[:] = [[ANSWERS["two calls"]]]
    message = (await rig.whole(tools=TOOLS)).choices[0].message
    assert message.content is None
    assert [call.function.arguments for call in message.tool_calls] == [
        json.dumps(WEATHER["parameters"]),
        json.dumps(TIME["parameters"]),
    ]
    assert len({call.id for call in message.tool_calls}) == 2


async def test_without_parallel_calls_the_engine_is_stopped_after_the_first(rig: Rig) -> None:
    rig.answers[:] = [list(ANSWERS["two calls"])]
    answer = await rig.whole(tools=TOOLS, parallel_tool_calls=False)
    assert len(answer.choices[0].message.tool_calls) == 1
    assert rig.engine.handles[-1].pushed < len(ANSWERS["two calls"])
    assert answer.usage.completion_tokens == len(json.dumps(WEATHER))


async def test_a_call_that_is_cut_by_length_says_so(rig: Rig) -> None:
    rig.answers[:] = [list(ANSWERS["one call"])]
    choice = (await rig.whole(tools=TOOLS, max_tokens=50)).choices[0]
    assert choice.finish_reason == "length"
    assert json.dumps(WEATHER["parameters"]).startswith(choice.message.tool_calls[0].function.arguments)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("parallel", [True, False])
async def test_with_tool_choice_none_calls_are_content_and_the_model_does_not_see_the_tools(
    rig: Rig, parallel: bool, n: int
) -> None:
    rig.answers[:] = [list(ANSWERS["two calls"])]
    fields = {"tools": TOOLS, "tool_choice": "none", "parallel_tool_calls": parallel, "n": n}
    for choice in (await rig.whole(**fields)).choices:
        assert choice.message.content == ANSWERS["two calls"]
        assert choice.finish_reason == "stop"
    for streamed in (await rig.streamed(**fields)).values():
        assert streamed == {"content": ANSWERS["two calls"], "calls": {}, "finish": ["stop"]}
    assert "get_weather" not in rig.prompts[-1]


async def test_an_agent_s_loop_calls_two_tools_and_gets_its_sentence(rig: Rig) -> None:
    rig.answers[:] = [[ANSWERS["two calls"]], ["Sunny, and it is noon."]]
    messages = list(QUESTION)
    first = (await rig.whole(messages=messages, tools=TOOLS)).choices[0].message
    messages.append(first.model_dump(exclude_none=True))
    results = {"get_weather": "sunny <|eot_id|>", "get_time": '{"time": "12:00"}'}
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": results[call.function.name]}
        for call in reversed(first.tool_calls)
    ]
    last = (await rig.whole(messages=messages, tools=TOOLS)).choices[0]
    assert last.message.content == "Sunny, and it is noon."
    assert last.finish_reason == "stop"
    prompt = rig.prompts[-1]
    order = [prompt.index(part) for part in ('"São Paulo"', "sunny", '"UTC"', "12:00")]
    assert order == sorted(order), "each result stands behind its own call"
    assert "sunny <|eot_id|>" in prompt, "a special token in a result stays text"


async def test_tools_are_shown_to_the_model(rig: Rig) -> None:
    rig.answers[:] = [["Fine."]]
    await rig.whole(tools=TOOLS)
    assert '"get_weather"' in rig.prompts[-1]
    assert '"get_time"' in rig.prompts[-1]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "two words"}}]}, "tools[0].function.name"),
        ({"tools": [TOOLS[0], TOOLS[0]]}, "tools[1].function.name"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "rm"}}}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": [1]}}]},
            "tools[0].function.parameters",
        ),
        ({"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]}, "messages[0].tool_call_id"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_name(rig: Rig, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await rig.whole(**fields)
    assert raised.value.param == param
