"""SmolLM2-135M-Instruct through the whole service: what a user of the second step after the demo does with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema
import openai
import pytest
from openai import OpenAI

from tests.models.scoring import assert_scored_as_generated
from tests.support.http import get

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

    from tests.support.service import Service

MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"  # an alias of whatever is served
PERU: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the capital of Peru?"}]
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "maximum": 99}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def test_it_answers_a_question(chat: OpenAI) -> None:
    answer = chat.chat.completions.create(model=MODEL, messages=PERU, temperature=0, max_tokens=30)
    assert "Lima" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "smollm2"


def test_a_stream_is_the_same_answer(chat: OpenAI) -> None:
    whole = chat.chat.completions.create(model=MODEL, messages=PERU, temperature=0, max_tokens=30)
    stream = chat.chat.completions.create(model=MODEL, messages=PERU, temperature=0, max_tokens=30, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == whole.choices[0].message.content


def test_several_choices_differ_and_end_at_a_stop_sequence(chat: OpenAI) -> None:
    count: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Write a short story about a llama."}]
    answer = chat.chat.completions.create(model=MODEL, messages=count, n=2, stop=["."], max_tokens=60, seed=1)
    texts = [choice.message.content or "" for choice in answer.choices]
    assert texts[0] != texts[1]
    assert all("." not in text for text in texts)


def test_log_probabilities_spell_the_answer(chat: OpenAI) -> None:
    answer = chat.chat.completions.create(
        model=MODEL, messages=PERU, temperature=0, max_tokens=10, logprobs=True, top_logprobs=2
    )
    entries = answer.choices[0].logprobs.content if answer.choices[0].logprobs else None
    assert entries
    assert "".join(entry.token for entry in entries) == answer.choices[0].message.content
    assert all(entry.top_logprobs[0].token == entry.token for entry in entries)


def test_an_answer_is_as_long_as_min_tokens_asks(chat: OpenAI) -> None:
    shorter = chat.chat.completions.create(model=MODEL, messages=PERU, temperature=0, max_tokens=60)
    assert shorter.usage
    wanted = shorter.usage.completion_tokens + 5
    longer = chat.chat.completions.create(
        model=MODEL, messages=PERU, temperature=0, max_tokens=60, extra_body={"min_tokens": wanted}
    )
    assert longer.usage
    assert longer.usage.completion_tokens >= wanted


def test_a_scored_text_has_the_log_probabilities_of_its_generation(chat: OpenAI) -> None:
    assert_scored_as_generated(chat, MODEL, "The capital of Peru is")


def test_a_json_schema_is_satisfied(chat: OpenAI) -> None:
    answer = chat.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Invent a person as JSON."}],
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}},
        max_tokens=100,
    )
    jsonschema.validate(json.loads(answer.choices[0].message.content or ""), SCHEMA)


def test_its_own_template_has_no_tools_and_they_are_refused(chat: OpenAI, smollm2: Service) -> None:
    model = get(smollm2.url + "/v1/models").json()["data"][0]
    assert (model["tool_syntax"], model["chat"]) == (None, True)
    with pytest.raises(openai.BadRequestError, match="tools is not supported"):
        chat.chat.completions.create(model=MODEL, messages=PERU, tools=[WEATHER])


def test_with_a_template_that_has_tools_a_required_call_is_made(smollm2_with_tools: Service) -> None:
    client = OpenAI(base_url=smollm2_with_tools.url + "/v1", api_key="unused", max_retries=0)
    with client:
        assert get(smollm2_with_tools.url + "/v1/models").json()["data"][0]["tool_syntax"] == "hermes"
        arguments = {"model": MODEL, "messages": PERU, "tools": [WEATHER], "tool_choice": "required", "temperature": 0}
        whole = client.chat.completions.create(**arguments, max_tokens=60)  # type: ignore[call-overload]
        chunks = list(client.chat.completions.create(**arguments, max_tokens=60, stream=True))  # type: ignore[call-overload]
    (call,) = whole.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    jsonschema.validate(json.loads(call.function.arguments), WEATHER["function"]["parameters"])
    assert whole.choices[0].finish_reason == "tool_calls"
    streamed = [one for chunk in chunks for one in chunk.choices[0].delta.tool_calls or []]
    assert "".join(one.function.arguments or "" for one in streamed) == call.function.arguments


def test_a_completion_continues_its_prompt(chat: OpenAI) -> None:
    answer = chat.completions.create(model=MODEL, prompt="The capital of France is", temperature=0, max_tokens=3)
    assert "Paris" in answer.choices[0].text


def test_from_the_second_turn_on_a_chat_finds_its_last_prompt_in_the_cache_whatever_runs_beside_it(
    chat: OpenAI,
) -> None:
    chats: list[list[ChatCompletionMessageParam]] = [
        [{"role": "system", "content": f"You are {name}, who answers in three words."}] for name in ("Ana", "Ben")
    ]
    for turn in range(10):
        for messages in chats:
            messages.append({"role": "user", "content": f"Question {turn}: what is {turn} plus {turn}?"})
            answer = chat.chat.completions.create(model=MODEL, messages=messages, temperature=0, max_tokens=8)
            usage = answer.usage
            assert usage is not None
            assert usage.prompt_tokens_details is not None
            cached = usage.prompt_tokens_details.cached_tokens or 0
            assert turn == 0 or cached > usage.prompt_tokens / 2
            messages.append({"role": "assistant", "content": answer.choices[0].message.content})
