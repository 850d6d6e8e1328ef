"""Schemas that cost far more than they weigh: each gets an answer or a refusal, and nobody else notices."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.hostile_schemas import HOSTILE_SCHEMAS
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

ASK: dict[str, Any] = {"model": REFERENCE_MODEL, "messages": [{"role": "user", "content": "Hello!"}], "seed": 1}
PARAM = "response_format.json_schema.schema"


@pytest.fixture
def client(llama_cpp: Service) -> Iterator[OpenAI]:
    with OpenAI(base_url=llama_cpp.url + "/v1", api_key="unused", max_retries=0) as client:
        yield client


def outcome(client: OpenAI, schema: dict[str, Any]) -> str:
    """The finish reason, or why there is none; an answer that ended by itself is JSON."""
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    fields = {**ASK, "max_tokens": 40, "temperature": 1.5, "response_format": form}
    try:
        choice = client.chat.completions.create(**fields).choices[0]
    except openai.BadRequestError as refused:
        return f"refused: {refused.param}"
    if choice.finish_reason == "stop":
        json.loads(choice.message.content or "")  # jsonschema itself does not survive these schemas
    return str(choice.finish_reason)


@pytest.mark.parametrize("name", HOSTILE_SCHEMAS)
def test_a_hostile_schema_has_an_answer_or_a_refusal_that_names_the_field(client: OpenAI, name: str) -> None:
    assert outcome(client, HOSTILE_SCHEMAS[name]) in {"stop", "length", f"refused: {PARAM}"}


@pytest.mark.parametrize(
    "name", ["multipleOf several primes", "maxItems 10^8", "minItems 10^8", "1,000 optional letters"]
)
def test_what_would_stall_the_engine_or_escape_it_is_refused(client: OpenAI, name: str) -> None:
    assert outcome(client, HOSTILE_SCHEMAS[name]) == f"refused: {PARAM}"


def test_a_grammar_that_is_lost_within_a_stream_ends_it_with_an_error(client: OpenAI) -> None:
    schema = HOSTILE_SCHEMAS["1,000 optional letters"]
    form: Any = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    with pytest.raises(openai.APIError) as raised:
        for chunk in client.chat.completions.create(**ASK, response_format=form, stream=True):
            assert all(choice.finish_reason is None for choice in chunk.choices)
    assert raised.value.param == PARAM
    assert raised.value.code == "unsupported_parameter"


def test_other_callers_are_served_while_hostile_schemas_come_all_at_once(client: OpenAI) -> None:
    def ask() -> str | None:
        answer: ChatCompletion = client.chat.completions.create(**ASK, max_tokens=10, temperature=0)
        return answer.choices[0].message.content

    alone = ask()
    # Unknown to the service, so that none is refused from memory.
    schemas = [{"description": "again"} | schema for schema in HOSTILE_SCHEMAS.values()]
    beside: list[str | None] = []
    with ThreadPoolExecutor(8) as pool:
        hostile = [pool.submit(outcome, client, schema) for schema in schemas]
        while not all(one.done() for one in hostile):
            beside.append(ask())
    assert {one.result() for one in hostile} <= {"stop", "length", f"refused: {PARAM}"}
    assert len(beside) > 1
    assert set(beside) == {alone}
