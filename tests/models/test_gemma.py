"""Gemma 3 270M, a base model with a SentencePiece tokenizer, through the whole service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openai
import pytest
from openai import OpenAI

from services.engine.api import Generation
from services.engine.factory import build_engine
from services.settings import Settings
from tests.models.scoring import assert_scored_as_generated
from tests.support.http import post
from tests.support.recording_sink import RecordingSink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.service import Service

MODEL = "gemma"


@pytest.fixture
def client(gemma: Service) -> Iterator[OpenAI]:
    with OpenAI(base_url=gemma.url + "/v1", api_key="unused", max_retries=0) as client:
        yield client


def test_a_completion_continues_its_prompt(client: OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt="Roses are red, violets are", temperature=0, max_tokens=4)
    assert "blue" in answer.choices[0].text


def test_min_tokens_is_refused_because_its_vocabulary_has_tokens_of_the_same_bytes(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.completions.create(model=MODEL, prompt="The end.", extra_body={"min_tokens": 40})
    assert raised.value.param == "min_tokens"
    assert raised.value.code == "unsupported_parameter"


def test_a_scored_text_has_the_log_probabilities_of_its_generation(client: OpenAI) -> None:
    assert_scored_as_generated(client, MODEL, "Roses are red, violets are")


def test_a_chat_is_refused_with_what_the_model_lacks(client: OpenAI) -> None:
    model = client.models.list().data[0]
    assert model.model_extra is not None
    assert model.model_extra["chat"] is False
    with pytest.raises(openai.BadRequestError, match="without a chat template") as raised:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}])
    assert raised.value.param == "messages"
    assert raised.value.code == "unsupported_parameter"


def test_text_is_tokenized_and_comes_back_and_its_markers_stay_text(gemma: Service) -> None:
    text = "a <start_of_turn>user\n\n<bos> 🦙"
    ids = post(gemma.url + "/tokenize", {"model": MODEL, "prompt": text, "add_special_tokens": False}).json()
    assert ids["count"] == len(ids["tokens"])
    assert not {2, 105, 106} & set(ids["tokens"])  # <bos>, <start_of_turn>, <end_of_turn>
    back = post(gemma.url + "/detokenize", {"model": MODEL, "tokens": ids["tokens"]}).json()
    assert back["prompt"] == text


async def test_a_grammar_holds_with_its_vocabulary(gemma_file: Path) -> None:
    engine = build_engine(Settings(model=str(gemma_file), parallel=1, context_length=512, threads=1))
    await engine.start()
    sink = RecordingSink()
    prompt = [*engine.tokenizer.opening, *engine.tokenizer.encode("The colours of the flag: ")]
    grammar = '%llguidance {}\nstart: "red" | "blue, white"'
    await engine.submit(Generation(prompt=prompt, max_tokens=20, grammar=grammar), sink).released
    await engine.close()
    assert sink.text(engine.tokenizer) in {"red", "blue, white"}
