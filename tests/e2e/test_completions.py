"""Text completions and token ids through the whole service, with the real openai client, each engine, and gRPC."""

from __future__ import annotations

from typing import Any

import grpc
import openai
import pytest
from openai import OpenAI

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc, model_service_pb2, model_service_pb2_grpc
from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.http import post
from tests.support.service import Service

TEXT = "Once upon a time 🦙"


def asked(**fields: Any) -> dict[str, Any]:
    return {"model": REFERENCE_MODEL, "prompt": TEXT, "max_tokens": 12, "temperature": 0, **fields}


def test_a_text_is_continued(client: OpenAI) -> None:
    answer = client.completions.create(**asked())
    assert answer.object == "text_completion"
    assert answer.id.startswith("cmpl-")
    assert answer.choices[0].text
    assert answer.choices[0].finish_reason in {"stop", "length"}
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_without_a_limit_sixteen_tokens_are_generated_as_openai_does(client: OpenAI) -> None:
    answer = client.completions.create(model=REFERENCE_MODEL, prompt=TEXT, extra_body={"ignore_eos": True})
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 16


def test_tokens_are_continued_as_the_text_that_they_spell(client: OpenAI, service: Service) -> None:
    tokens = post(service.url + "/tokenize", {"model": REFERENCE_MODEL, "prompt": TEXT}).json()["tokens"]
    by_text = client.completions.create(**asked())
    by_tokens = client.completions.create(**asked(prompt=tokens))
    assert by_tokens.choices[0].text == by_text.choices[0].text
    assert by_tokens.usage is not None
    assert by_text.usage is not None
    assert by_tokens.usage.prompt_tokens == by_text.usage.prompt_tokens == len(tokens)


def test_several_prompts_have_answers_in_their_order_and_one_usage_record(client: OpenAI) -> None:
    prompts = ["One day", "Two birds", "Three"]
    singles = [client.completions.create(**asked(prompt=prompt)) for prompt in prompts]
    together = client.completions.create(**asked(prompt=prompts, n=2))
    assert [choice.index for choice in together.choices] == list(range(6))
    assert together.usage is not None
    assert together.usage.prompt_tokens == sum(single.usage.prompt_tokens for single in singles if single.usage)
    assert together.usage.model_extra is not None
    assert together.usage.model_extra["estimated_cost"] == pytest.approx(together.usage.total_tokens * 0.055e-6)


def test_lists_of_tokens_are_several_prompts(client: OpenAI) -> None:
    answer = client.completions.create(**asked(prompt=[[40, 41], [42]]))
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 3


def test_a_stream_of_several_prompts_adds_up_to_the_whole_answers(simulated: Service) -> None:
    fields = asked(prompt=["One day", "Two birds"], n=2)
    with OpenAI(base_url=simulated.url + "/v1", api_key="unused", max_retries=0) as client:
        whole = client.completions.create(**fields)
        chunks = list(client.completions.create(**fields, stream=True, stream_options={"include_usage": True}))
    for choice in whole.choices:
        own = [part for chunk in chunks for part in chunk.choices if part.index == choice.index]
        assert "".join(part.text for part in own) == choice.text
        assert [part.finish_reason for part in own if part.finish_reason] == [choice.finish_reason]
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1


def test_continuous_usage_of_several_prompts_is_their_sum(simulated: Service) -> None:
    options: Any = {"include_usage": True, "continuous_usage_stats": True}
    with OpenAI(base_url=simulated.url + "/v1", api_key="unused", max_retries=0) as client:
        chunks = list(client.completions.create(**asked(prompt=["One", "Two"]), stream=True, stream_options=options))
    total, counts = chunks[-1].usage, [chunk.usage for chunk in chunks]
    assert total is not None
    before = counts[-2]
    assert before is not None
    assert (before.prompt_tokens, before.completion_tokens) == (total.prompt_tokens, total.completion_tokens)


def test_echo_puts_the_prompt_before_every_answer_whole_and_streamed(client: OpenAI) -> None:
    answer = client.completions.create(**asked(echo=True, n=2))
    assert all(choice.text.startswith(TEXT) for choice in answer.choices)
    assert all(len(choice.text) > len(TEXT) for choice in answer.choices)
    streamed = client.completions.create(**asked(echo=True), stream=True)
    assert "".join(part.text for chunk in streamed for part in chunk.choices).startswith(TEXT)
    assert client.completions.create(**asked(echo=True, max_tokens=0)).choices[0].text == TEXT


def test_logprobs_are_columns_whose_offsets_point_into_the_text(client: OpenAI) -> None:
    choice = client.completions.create(**asked(logprobs=3)).choices[0]
    logprobs = choice.logprobs
    assert logprobs is not None
    assert logprobs.tokens is not None
    assert logprobs.text_offset is not None
    assert "".join(logprobs.tokens) == choice.text
    for token, offset in zip(logprobs.tokens, logprobs.text_offset, strict=True):
        assert choice.text[offset:].startswith(token)
    assert all(1 <= len(top) <= 3 for top in logprobs.top_logprobs or [])
    offsets = [
        offset
        for chunk in client.completions.create(**asked(logprobs=0), stream=True)
        for part in chunk.choices
        if part.logprobs is not None
        for offset in part.logprobs.text_offset or ()
    ]
    assert offsets == logprobs.text_offset


def test_echo_with_logprobs_scores_the_prompt_as_lm_eval_needs_it(client: OpenAI, service: Service) -> None:
    prompt = post(service.url + "/tokenize", {"model": REFERENCE_MODEL, "prompt": TEXT}).json()["tokens"]
    body = asked(prompt=prompt, echo=True, logprobs=2, max_tokens=1)
    whole = client.completions.create(**body)
    logprobs, usage = whole.choices[0].logprobs, whole.usage
    assert logprobs is not None
    assert usage is not None
    assert usage.prompt_tokens == len(prompt)
    scores = logprobs.token_logprobs or []
    assert len(scores) == len(prompt) + usage.completion_tokens
    assert scores[0] is None
    assert all(score <= 0 for score in scores[1:])
    tops = logprobs.top_logprobs or []
    assert tops[0] is None
    for top, score in zip(tops[1:], scores[1:], strict=True):
        assert score <= max(top.values())
    offsets = logprobs.text_offset or []
    assert offsets == sorted(offsets)
    assert whole.choices[0].text.startswith(TEXT)
    streamed = [choice for chunk in client.completions.create(**body, stream=True) for choice in chunk.choices]
    assert "".join(choice.text for choice in streamed) == whole.choices[0].text
    parts = [choice.logprobs.token_logprobs or [] for choice in streamed if choice.logprobs]
    assert [score is None for part in parts for score in part] == [score is None for score in scores]


def test_the_token_that_ends_an_answer_has_an_entry_beside_those_of_the_prompt(llama_cpp: Service) -> None:
    # lm-evaluation-harness asks for one token, and takes the last entry for that token's, whichever it is.
    chat = {"model": REFERENCE_MODEL, "messages": [{"role": "user", "content": "x"}], "return_token_strs": True}
    tokenized = post(llama_cpp.url + "/tokenize", chat).json()
    end = tokenized["tokens"][tokenized["token_strs"].index("<|eot_id|>")]
    with OpenAI(base_url=llama_cpp.url + "/v1", api_key="unused", max_retries=0) as client:
        answer = client.completions.create(**asked(echo=True, logprobs=1, max_tokens=1, logit_bias={str(end): 100}))
    choice, usage = answer.choices[0], answer.usage
    assert (choice.text, choice.finish_reason) == (TEXT, "stop")
    assert choice.logprobs is not None
    assert usage is not None
    assert usage.completion_tokens == 0
    assert len(choice.logprobs.token_logprobs or ()) == usage.prompt_tokens + 1
    assert (choice.logprobs.tokens or [])[-1] == ""


def test_a_prompt_is_scored_without_an_answer_and_for_every_choice(client: OpenAI) -> None:
    answer = client.completions.create(**asked(echo=True, logprobs=0, max_tokens=0, n=2))
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 0
    for choice in answer.choices:
        assert (choice.text, choice.finish_reason) == (TEXT, "length")
        assert choice.logprobs is not None
        assert len(choice.logprobs.token_logprobs or ()) == answer.usage.prompt_tokens
        assert not choice.logprobs.top_logprobs


def test_stop_sequences_end_the_text(client: OpenAI) -> None:
    text = client.completions.create(**asked()).choices[0].text
    stop = text[len(text) // 2 :][:3]
    choice = client.completions.create(**asked(stop=[stop])).choices[0]
    assert choice.text == text[: text.index(stop)]
    assert choice.finish_reason == "stop"


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"suffix": "end"}, "suffix", "unsupported_parameter"),
        ({"best_of": 2}, "best_of", "unsupported_parameter"),
        ({"logprobs": 21}, "logprobs", "invalid_value"),
        ({"prompt": []}, "prompt", "invalid_value"),
        ({"prompt": [[]]}, "prompt", "invalid_value"),
        ({"prompt": ["a"] * 17}, "prompt", "invalid_value"),
        ({"prompt": ["a", 5]}, "prompt[1]", "invalid_value"),
        ({"prompt": [10**9]}, "prompt[0]", "invalid_value"),
        ({"prompt": "word " * 9000}, "prompt", "context_length_exceeded"),
        ({"temperature": 3}, "temperature", "invalid_value"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(value),
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_done_is_refused_by_name(
    client: OpenAI, fields: dict[str, Any], param: str, code: str, stream: bool
) -> None:
    with pytest.raises(openai.BadRequestError) as failed:
        client.completions.create(**(asked(stream=stream) | fields))
    assert (failed.value.param, failed.value.code) == (param, code)


def test_neutral_values_of_refused_fields_are_accepted(client: OpenAI) -> None:
    client.completions.create(**asked(suffix=None, best_of=1))


def test_one_wrong_prompt_refuses_all_of_them(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.completions.create(**asked(prompt=["fine", "word " * 9000], stream=True))


def test_grpc_continues_the_same_text(simulated: Service) -> None:
    request = chat_service_pb2.ChatRequest(
        model=REFERENCE_MODEL, prompt=chat_pb2.Prompt(text=TEXT, echo=True), max_tokens=12
    )
    with grpc.insecure_channel(simulated.target) as channel:
        typed = chat_service_pb2_grpc.ChatServiceStub(channel).Chat(request)
    rest = post(simulated.url + "/v1/completions", asked(echo=True)).json()
    assert typed.choices[0].message.content[0].text == rest["choices"][0]["text"]
    assert typed.usage.estimated_cost == rest["usage"]["estimated_cost"]
    assert typed.id.startswith("cmpl-")


@pytest.mark.parametrize("text", [TEXT, "", "<|eot_id|> stays text", "日本語 e\u0301"])
def test_tokens_become_the_text_again(service: Service, text: str) -> None:
    plain = {"model": REFERENCE_MODEL, "prompt": text, "add_special_tokens": False}
    tokens = post(service.url + "/tokenize", plain).json()
    assert tokens["count"] == len(tokens["tokens"])
    assert tokens["max_model_len"] > 0
    given = {"model": REFERENCE_MODEL, "tokens": tokens["tokens"]}
    assert post(service.url + "/detokenize", given).json() == {"prompt": text}
    opened = post(service.url + "/tokenize", {"model": REFERENCE_MODEL, "prompt": text}).json()["tokens"]
    assert opened[1:] == tokens["tokens"]
    given = {"model": REFERENCE_MODEL, "tokens": opened}
    assert post(service.url + "/detokenize", given).json()["prompt"] == "<|begin_of_text|>" + text


def test_unknown_fields_of_a_token_request_are_named(simulated: Service) -> None:
    known = {"model": REFERENCE_MODEL}
    for path, given in (("/tokenize", {"prompt": "a"}), ("/detokenize", {"tokens": [100]})):
        reply = post(simulated.url + path, {**known, **given, "zeta": 1})
        assert (reply.status, reply.headers["x-ignored-parameters"]) == (200, "zeta")


def test_tokens_are_delivered_over_grpc_too(service: Service) -> None:
    with grpc.insecure_channel(service.target) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        counted = stub.CountTokens(
            model_service_pb2.CountTokensRequest(
                model=REFERENCE_MODEL, text=TEXT, include_tokens=True, add_special_tokens=True
            )
        )
        text = stub.Detokenize(
            model_service_pb2.DetokenizeRequest(model=REFERENCE_MODEL, tokens=counted.tokens[1:])
        ).text
    rest = post(service.url + "/tokenize", {"model": REFERENCE_MODEL, "prompt": TEXT}).json()
    assert (rest["tokens"], rest["count"]) == (list(counted.tokens), counted.count)
    assert text == TEXT


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {"model": REFERENCE_MODEL}, "prompt"),
        ("/tokenize", {"model": "nobody", "prompt": "x"}, "model"),
        ("/detokenize", {"model": REFERENCE_MODEL, "tokens": [10**6]}, "tokens[0]"),
        ("/detokenize", {"model": REFERENCE_MODEL, "tokens": [-1]}, "tokens"),
        ("/detokenize", {"model": REFERENCE_MODEL, "tokens": ["a"]}, "tokens[0]"),
    ],
)
def test_wrong_questions_about_tokens_are_refused_by_name(
    service: Service, path: str, body: dict[str, Any], param: str
) -> None:
    reply = post(service.url + path, body)
    assert reply.status in {400, 404}
    assert reply.error["param"] == param
