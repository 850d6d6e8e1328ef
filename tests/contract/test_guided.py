"""Generated schemas on llama.cpp: text that ends by itself satisfies its schema, or the schema was rejected."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import jsonschema
import pytest

from chasqui.v1 import chat_pb2, chat_service_pb2
from services.chat.grammar.compiler import GrammarCompiler
from services.chat.grammar.structured import grammar_of
from services.engine.api import EndReason, Generation, Sampling
from services.engine.factory import build_engine
from services.errors import UnsupportedParameter
from services.settings import Settings
from tests.support.hostile_schemas import HOSTILE_SCHEMAS
from tests.support.recording_sink import RecordingSink
from tests.support.schemas import random_schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.engine.api import Engine

# For a longer run: TEST_SCHEMAS=1000 pytest tests/contract/test_guided.py
SCHEMAS = int(os.environ.get("TEST_SCHEMAS", "60"))


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = build_engine(Settings(parallel=1, context_length=1024, threads=1))
    await engine.start()
    yield engine
    await engine.close()


async def test_answers_satisfy_generated_schemas(engine: Engine) -> None:
    prompt = engine.tokenizer.encode("Answer in JSON: ")
    satisfied = refused = 0
    compiler = GrammarCompiler(engine.tokenizer)
    for seed in range(SCHEMAS):
        schema = random_schema(seed)
        form = chat_pb2.JsonSchemaFormat(name="answer", schema_json=json.dumps(schema))
        request = chat_service_pb2.ChatRequest(response_format=chat_pb2.ResponseFormat(json_schema=form))
        try:
            grammar = grammar_of(request)
            assert grammar is not None
            await compiler.check(grammar)
        except UnsupportedParameter:
            refused += 1
            continue
        sink = RecordingSink()
        sampling = Sampling(temperature=1.0, seed=seed)
        wanted = Generation(prompt=prompt, max_tokens=200, sampling=sampling, grammar=grammar.text)
        await engine.submit(wanted, sink).released
        if sink.choice_ends[0].reason is EndReason.STOP:
            jsonschema.validate(json.loads(sink.text(engine.tokenizer)), schema)
            satisfied += 1
        assert not sink.ends[0].grammar_lost
    compiler.close()
    assert satisfied > SCHEMAS * 0.6
    assert refused < SCHEMAS * 0.2


async def test_an_answer_that_leaves_its_grammar_ends_with_an_error_and_before_that(engine: Engine) -> None:
    schema = HOSTILE_SCHEMAS["1,000 optional letters"]
    form = chat_pb2.JsonSchemaFormat(name="answer", schema_json=json.dumps(schema))
    grammar = grammar_of(chat_service_pb2.ChatRequest(response_format=chat_pb2.ResponseFormat(json_schema=form)))
    assert grammar is not None
    sink = RecordingSink()
    wanted = Generation(prompt=engine.tokenizer.encode("Hello"), max_tokens=50, grammar=grammar.text)
    await engine.submit(wanted, sink).released
    assert sink.ends[0].grammar_lost
    assert sink.ends[0].error
    assert sink.text(engine.tokenizer) == '"'
