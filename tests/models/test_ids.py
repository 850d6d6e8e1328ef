"""Token ids of real vocabularies against llama.cpp's own, and texts that come back whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.engine.model.byte_level import tokenizer_from_gguf
from tests.support.core import llama_cpp
from tests.support.corpus import corpus

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = 1000


def test_smollm2_s_ids_are_those_of_llama_cpp(smollm2_file: Path) -> None:
    with llama_cpp(smollm2_file) as (model, theirs):
        ours = tokenizer_from_gguf(model)
        for text in corpus(TEXTS, list(ours.special_tokens)):
            ids = ours.encode(text)
            assert ids == theirs.encode(text), text
            assert ours.decode(ids) == text


def test_gemma_s_texts_come_back_and_become_no_special_token(gemma_file: Path) -> None:
    with llama_cpp(gemma_file) as (_, tokenizer):
        special = set(tokenizer.special_tokens.values())
        for text in corpus(TEXTS, [*list(tokenizer.special_tokens)[:30], "<start_of_turn>", "<end_of_turn>"]):
            ids = tokenizer.encode(text)
            assert special.isdisjoint(ids), text
            assert tokenizer.decode(ids) == text
