"""Log probabilities through the whole service, whole and streamed, over REST and gRPC."""

from __future__ import annotations

import math
from typing import Any

import grpc
import openai
import pytest
from openai import OpenAI

from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc
from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.service import Service

ASKED: dict[str, Any] = {
    "model": REFERENCE_MODEL,
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": 24,
    "temperature": 0,
}


def test_the_bytes_of_all_entries_are_those_of_the_content(client: OpenAI) -> None:
    choice = client.chat.completions.create(**ASKED, logprobs=True, top_logprobs=5).choices[0]
    assert choice.logprobs is not None
    entries = choice.logprobs.content or []
    assert b"".join(bytes(entry.bytes or []) for entry in entries).decode() == choice.message.content
    assert "".join(entry.token for entry in entries) == choice.message.content
    for entry in entries:
        assert len(entry.top_logprobs) == 5
        assert sum(math.exp(other.logprob) for other in entry.top_logprobs) <= 1 + 1e-6
        assert entry.logprob == entry.top_logprobs[0].logprob


def test_streamed_entries_are_the_new_ones_and_stop_sequences_keep_them_in_step(client: OpenAI) -> None:
    whole = client.chat.completions.create(**ASKED, stop="e", logprobs=True).choices[0]
    chunks = list(client.chat.completions.create(**ASKED, stop="e", logprobs=True, stream=True))
    entries = [
        entry
        for chunk in chunks
        for choice in chunk.choices
        if choice.logprobs is not None
        for entry in choice.logprobs.content or ()
    ]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert "e" not in text
    assert b"".join(bytes(entry.bytes or []) for entry in entries).decode() == text
    assert whole.logprobs is not None
    assert [entry.token for entry in entries] == [entry.token for entry in whole.logprobs.content or ()]
    assert all(entry.top_logprobs == [] for entry in entries)


def test_over_responses_the_entries_are_the_same_whole_and_streamed(client: OpenAI) -> None:
    # llama.cpp's arithmetic differs in the last digit when it finds the prompt in its cache: from here on it does.
    client.chat.completions.create(**ASKED, logprobs=True, top_logprobs=2)
    choice = client.chat.completions.create(**ASKED, logprobs=True, top_logprobs=2).choices[0]
    assert choice.logprobs is not None
    expected = [entry.model_dump() for entry in choice.logprobs.content or ()]
    asked: Any = {"model": REFERENCE_MODEL, "input": "Hello!", "max_output_tokens": 24, "temperature": 0}
    asked |= {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
    answer: Any = client.responses.create(**asked)
    assert [entry.model_dump() for entry in answer.output[0].content[0].logprobs] == expected
    deltas: list[Any] = []
    for event in client.responses.create(**asked, stream=True):
        if event.type == "response.output_text.delta":
            deltas += event.logprobs
        if event.type == "response.output_text.done":
            assert len(event.logprobs) == len(expected)
    assert [(entry.token, entry.logprob) for entry in deltas] == [(each["token"], each["logprob"]) for each in expected]
    assert event.response.output[0].content[0].logprobs == answer.output[0].content[0].logprobs
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**(asked | {"include": []}))
    assert caught.value.param == "top_logprobs"


TOOL: Any = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def test_beside_tools_the_entries_spell_the_content_whole_and_streamed(simulated: Service) -> None:
    with OpenAI(base_url=simulated.url + "/v1", api_key="unused", max_retries=0) as client:
        choice = client.chat.completions.create(**ASKED, tools=[TOOL], logprobs=True).choices[0]
        chunks = list(client.chat.completions.create(**ASKED, tools=[TOOL], logprobs=True, stream=True))
    assert choice.message.content
    assert choice.logprobs is not None
    tokens = [entry.token for entry in choice.logprobs.content or ()]
    assert "".join(tokens) == choice.message.content
    parts = [part.logprobs.content or [] for chunk in chunks for part in chunk.choices if part.logprobs]
    assert [entry.token for part in parts for entry in part] == tokens


def test_a_forced_call_has_no_entries(llama_cpp: Service) -> None:
    asked: dict[str, Any] = {**ASKED, "max_tokens": 100, "tools": [TOOL], "tool_choice": "required"}
    with OpenAI(base_url=llama_cpp.url + "/v1", api_key="unused", max_retries=0) as client:
        choice = client.chat.completions.create(**asked, logprobs=True).choices[0]
    assert choice.message.tool_calls
    assert choice.logprobs is None


def test_without_logprobs_there_are_none(client: OpenAI) -> None:
    assert client.chat.completions.create(**ASKED).choices[0].logprobs is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": -1}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
    ],
)
def test_top_logprobs_is_bounded_and_needs_logprobs(client: OpenAI, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as failed:
        client.chat.completions.create(**ASKED, **fields)
    assert failed.value.param == param


def test_grpc_tells_the_same_entries(simulated: Service) -> None:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hello!")])
    request = chat_service_pb2.ChatRequest(
        model=REFERENCE_MODEL, messages=[message], max_tokens=24, logprobs=True, top_logprobs=2
    )
    with grpc.insecure_channel(simulated.target) as channel:
        typed = chat_service_pb2_grpc.ChatServiceStub(channel).Chat(request).choices[0].logprobs.content
    with OpenAI(base_url=simulated.url + "/v1", api_key="unused", max_retries=0) as client:
        logprobs = client.chat.completions.create(**ASKED, logprobs=True, top_logprobs=2).choices[0].logprobs
    assert logprobs is not None
    assert [(entry.token, entry.logprob, bytes(entry.bytes or [])) for entry in logprobs.content or ()] == [
        (entry.token, entry.logprob, entry.bytes) for entry in typed
    ]


def test_an_answer_has_at_least_min_tokens(client: OpenAI) -> None:
    for least in (1, 30):
        answer = client.chat.completions.create(
            **{**ASKED, "max_tokens": 60}, extra_body={"min_tokens": least, "n": 2, "temperature": 1.0}
        )
        assert answer.usage is not None
        assert answer.usage.completion_tokens >= 2 * least


def test_min_tokens_is_refused_beside_a_grammar_where_it_is_one(llama_cpp: Service) -> None:
    asked: dict[str, Any] = {**ASKED, "response_format": {"type": "json_object"}, "extra_body": {"min_tokens": 20}}
    with OpenAI(base_url=llama_cpp.url + "/v1", api_key="unused", max_retries=0) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(**asked)
    assert (refused.value.param, refused.value.code) == ("min_tokens", "unsupported_parameter")
