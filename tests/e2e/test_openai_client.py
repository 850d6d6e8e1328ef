"""The `openai` package against the real Envoy, edge and server, with each engine."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.service import Service

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello!"}]
PRICE = 0.055 / 1e6


def test_an_answer_has_the_shape_that_openai_gives_it(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=REFERENCE_MODEL, messages=HELLO, max_tokens=30)
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in {"stop", "length"}
    assert answer.system_fingerprint


def test_the_model_field_says_what_really_answered(client: OpenAI, service: Service) -> None:
    answer = client.chat.completions.create(model=REFERENCE_MODEL, messages=HELLO, max_tokens=1)
    assert answer.model in {"chasqui-demo", "simulated"}
    assert answer.model == client.models.list().data[0].id


def test_usage_adds_up_and_is_priced_without_rounding(client: OpenAI) -> None:
    usage = client.chat.completions.create(model=REFERENCE_MODEL, messages=HELLO, max_tokens=9).usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.model_extra is not None
    assert usage.model_extra["estimated_cost"] == pytest.approx(usage.total_tokens * PRICE, rel=1e-12)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens is not None


def test_a_stream_begins_with_the_role_and_ends_with_one_finish_and_the_usage(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model=REFERENCE_MODEL, messages=HELLO, max_tokens=20, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(chunk.choices[0].delta.role is None for chunk in chunks[1:])
    assert all(chunk.choices[0].delta.content for chunk in chunks[1:-1])
    assert [chunk.choices[0].finish_reason is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    assert len({chunk.id for chunk in chunks}) == 1


def test_include_usage_puts_the_usage_into_a_last_chunk_without_choices(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model=REFERENCE_MODEL, messages=HELLO, max_tokens=5, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-2].choices[0].finish_reason is not None


@pytest.mark.parametrize("usage", [None, True], ids=["usage with the last choice", "usage alone"])
def test_continuous_usage_counts_every_token_in_every_chunk(simulated: Service, usage: bool | None) -> None:
    fields: dict[str, Any] = {"model": REFERENCE_MODEL, "messages": HELLO, "max_tokens": 9, "logprobs": True, "n": 2}
    options: Any = {"include_usage": usage, "continuous_usage_stats": True}
    with OpenAI(base_url=simulated.url + "/v1", api_key="unused", max_retries=0) as client:
        chunks = list(client.chat.completions.create(**fields, stream=True, stream_options=options))
    tokens = 0
    for chunk in chunks:
        tokens += sum(len(choice.logprobs.content or ()) for choice in chunk.choices if choice.logprobs)
        assert chunk.usage is not None
        assert chunk.usage.completion_tokens >= tokens
        assert chunk.usage.total_tokens == chunk.usage.prompt_tokens + chunk.usage.completion_tokens
        if chunk is not chunks[-1]:
            assert set(chunk.usage.model_dump(exclude_none=True)) == {
                "prompt_tokens",
                "completion_tokens",
                "total_tokens",
            }
    counts = [chunk.usage.completion_tokens for chunk in chunks if chunk.usage]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, tokens)
    assert len({chunk.usage.prompt_tokens for chunk in chunks if chunk.usage}) == 1


def test_continuous_usage_is_off_where_usage_is(simulated: Service) -> None:
    options: Any = {"include_usage": False, "continuous_usage_stats": True}
    with OpenAI(base_url=simulated.url + "/v1", api_key="unused", max_retries=0) as client:
        stream = client.chat.completions.create(
            model=REFERENCE_MODEL, messages=HELLO, max_tokens=3, stream=True, stream_options=options
        )
        assert all(chunk.usage is None for chunk in stream)


def test_the_stream_helper_folds_a_stream_into_the_same_answer(client: OpenAI) -> None:
    # The helper insists on an answer that was not cut by length; hardly any text gets far without this letter.
    with client.chat.completions.stream(model=REFERENCE_MODEL, messages=HELLO, stop="e") as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "".join(deltas)


async def test_the_async_client_runs_calls_side_by_side(service: Service) -> None:
    async with AsyncOpenAI(base_url=service.url + "/v1", api_key="unused", max_retries=0) as client:
        answers = await asyncio.gather(
            *(
                client.chat.completions.create(
                    model=REFERENCE_MODEL, messages=HELLO, max_tokens=10, extra_body={"ignore_eos": True}
                )
                for _ in range(12)
            )
        )
    assert [answer.usage.completion_tokens for answer in answers if answer.usage] == [10] * 12
    assert len({answer.id for answer in answers}) == 12


def test_several_choices_each_have_their_own_end(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=REFERENCE_MODEL, messages=HELLO, max_tokens=8, n=3, seed=5)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert all(choice.finish_reason for choice in answer.choices)


def test_several_choices_can_be_streamed(client: OpenAI) -> None:
    finishes = [
        choice.index
        for chunk in client.chat.completions.create(
            model=REFERENCE_MODEL, messages=HELLO, max_tokens=8, n=3, stream=True
        )
        for choice in chunk.choices
        if choice.finish_reason
    ]
    assert sorted(finishes) == [0, 1, 2]


def test_zero_tokens_are_an_empty_answer_with_the_prompt_s_usage(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=REFERENCE_MODEL, messages=HELLO, max_tokens=0)
    assert answer.choices[0].message.content == ""
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 0
    assert answer.usage.prompt_tokens > 0


def test_a_stop_sequence_ends_the_answer_and_is_not_part_of_it(client: OpenAI, service: Service) -> None:
    fields: dict[str, Any] = {"model": REFERENCE_MODEL, "messages": HELLO, "max_tokens": 60, "temperature": 0}
    whole = client.chat.completions.create(**fields, extra_body={"ignore_eos": True}).choices[0].message.content
    assert whole is not None
    stop = whole[20:26]
    answer = client.chat.completions.create(**fields, stop=stop, extra_body={"ignore_eos": True})
    assert answer.choices[0].message.content == whole[: whole.index(stop)]
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].model_extra == {"stop_reason": stop}


def test_max_completion_tokens_wins_over_max_tokens(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=REFERENCE_MODEL, messages=HELLO, max_tokens=50, max_completion_tokens=3, extra_body={"ignore_eos": True}
    )
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


def test_models_are_listed_and_found_by_alias_with_slashes(client: OpenAI) -> None:
    listed = client.models.list().data
    found = client.models.retrieve(REFERENCE_MODEL)
    assert [model.id for model in listed] == [found.id]
    assert found.model_extra is not None
    assert found.model_extra["context_length"] > 0
    price = {"prompt": 0.055, "cached_prompt": 0.055, "completion": 0.055}
    assert found.model_extra["pricing"] == price
    factors = {"priority": 1.5, "default": 1.0, "flex": 0.8}
    assert found.model_extra["tier_pricing"] == {
        tier: {name: pytest.approx(usd * factor) for name, usd in price.items()} for tier, factor in factors.items()
    }


def test_an_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="gpt-4", messages=HELLO)
    assert raised.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"temperature": 2.5}, "temperature", "invalid_value"),
        ({"top_p": 0}, "top_p", "invalid_value"),
        ({"n": 5}, "n", "invalid_value"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"stop": ["x"] * 17}, "stop", "invalid_value"),
        ({"logit_bias": {"1000000": 1}}, "logit_bias.1000000", "invalid_value"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name", "invalid_value"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}},
            "response_format.json_schema.name",
            "invalid_value",
        ),
        ({"extra_body": {"min_tokens": 5}, "max_tokens": 2}, "min_tokens", "invalid_value"),
        ({"extra_body": {"best_of": 2}}, "best_of", "unsupported_parameter"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "invalid_value"),
        ({"messages": [{"role": "user", "content": "long " * 2000}]}, "messages", "context_length_exceeded"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_names_the_field_before_any_stream_begins(
    llama_cpp: Service, fields: dict[str, object], param: str, code: str, stream: bool
) -> None:
    body: dict[str, object] = {"model": REFERENCE_MODEL, "messages": HELLO, "stream": stream, **fields}
    with OpenAI(base_url=llama_cpp.url + "/v1", api_key="unused", max_retries=0) as client:
        with pytest.raises(openai.BadRequestError) as raised:
            client.chat.completions.create(**body)  # type: ignore[call-overload]
    assert (raised.value.param, raised.value.code) == (param, code)
    assert raised.value.type == "invalid_request_error"


def test_streamed_and_whole_answers_are_equal(simulated: Service) -> None:
    with OpenAI(base_url=simulated.url + "/v1", api_key="unused", max_retries=0) as client:
        fields: dict[str, Any] = {"model": REFERENCE_MODEL, "messages": HELLO, "n": 2, "seed": 3, "max_tokens": 100}
        whole = client.chat.completions.create(**fields)
        texts = ["", ""]
        finishes: list[str | None] = [None, None]
        usage = None
        for chunk in client.chat.completions.create(**fields, stream=True):
            usage = chunk.usage or usage
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
                finishes[choice.index] = choice.finish_reason or finishes[choice.index]
    assert texts == [choice.message.content for choice in whole.choices]
    assert finishes == [choice.finish_reason for choice in whole.choices]
    assert usage == whole.usage


def test_the_raw_response_has_the_headers_beside_the_answer(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=REFERENCE_MODEL, messages=HELLO, max_tokens=3, extra_body={"colour": "red"}
    )
    assert raw.headers["x-request-id"]
    assert raw.headers["x-ignored-parameters"] == "colour"
    assert "total;dur=" in raw.headers["server-timing"]
    assert raw.parse().choices[0].message.content


def test_the_same_seed_gives_the_same_different_choices(client: OpenAI) -> None:
    def texts(seed: int) -> list[str | None]:
        answer = client.chat.completions.create(model=REFERENCE_MODEL, messages=HELLO, max_tokens=16, n=3, seed=seed)
        return [choice.message.content for choice in answer.choices]

    texts(5)  # llama.cpp's arithmetic differs in the last digit when it finds the prompt in its cache
    assert texts(5) == texts(5)
    assert len(set(texts(5))) > 1
    assert texts(5) != texts(6)
