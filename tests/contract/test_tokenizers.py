"""Our token ids against llama.cpp's own, family by family, on tiny models; no text becomes a special token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.engine.model.byte_level import FAMILIES, is_known, tokenizer_from_gguf
from tests.support.core import llama_cpp
from tests.support.corpus import corpus
from tests.support.gguf_files import demo_gguf
from tests.support.tiny_llama import (
    CONTROL,
    UNKNOWN,
    USER_DEFINED,
    write_byte_level_llama,
    write_sentence_piece_llama,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from services.engine.model.gguf_file import GgufModel
    from services.engine.model.tokenizer import Tokenizer

# The template writes two markers; <tool_call> is a user-defined token, which llama.cpp finds in any text.
TEMPLATE = "{{ bos_token }}<start>{{ messages[0].content }}<end><tool_call>"
MARKERS = {"<s>": CONTROL, "</s>": CONTROL, "<unk>": UNKNOWN, "<start>": CONTROL, "<end>": CONTROL}
USER_MARKERS = {"<tool_call>": USER_DEFINED, "<|user|>": USER_DEFINED}
ORDINARY = {"\n\n": USER_DEFINED, "<table>": USER_DEFINED}
# The merges lead to a control token: "<", "s" and ">" become "<s" and then "<s>".
WORDS = ["▁a", "th", "▁th", "he", "<s", "art", "<st", "<start", "_call", *"abcdefghijklmnopqrstuvwxyz▁<>/|_. \n"]


@pytest.fixture(scope="module")
def sentence_piece(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GgufModel, Tokenizer]]:
    path = tmp_path_factory.mktemp("models") / "tiny.gguf"
    write_sentence_piece_llama(path, WORDS, MARKERS | USER_MARKERS | ORDINARY, TEMPLATE)
    with llama_cpp(path) as loaded:
        yield loaded


def decoded(tokenizer: Tokenizer, ids: list[int]) -> str:
    decoder = tokenizer.decoder()
    return decoder.push(ids) + decoder.flush()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_known_family_has_the_ids_of_llama_cpp(tmp_path: Path, family: str) -> None:
    path = write_byte_level_llama(tmp_path / "tiny.gguf", demo_gguf(), family, user_defined=["<file>", "<file>s"])
    with llama_cpp(path) as (model, theirs):
        assert is_known(model)
        ours = tokenizer_from_gguf(model)
        for text in corpus(300, ["<|eot_id|>", "<file>", "<file>s"]):
            ids = ours.encode(text)
            assert ids == theirs.encode(text), text
            assert decoded(ours, ids) == text


def test_a_family_that_is_not_known_is_encoded_by_llama_cpp(tmp_path: Path) -> None:
    path = write_byte_level_llama(tmp_path / "tiny.gguf", demo_gguf(), "tekken")
    with llama_cpp(path) as (model, tokenizer):
        assert not is_known(model)
        for text in corpus(100, ["<|eot_id|>"]):
            ids = tokenizer.encode(text)
            assert set(ids).isdisjoint(tokenizer.special_tokens.values())
            assert decoded(tokenizer, ids) == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(
        st.text(max_size=5) | st.sampled_from([*MARKERS, *USER_MARKERS, *ORDINARY, "<s", "tool_call>", "<", "start>"]),
        max_size=8,
    ).map("".join)
)
def test_no_text_becomes_a_special_token_of_a_sentence_piece_model(
    sentence_piece: tuple[GgufModel, Tokenizer], text: str
) -> None:
    _, tokenizer = sentence_piece
    ids = tokenizer.encode(text)
    assert set(ids).isdisjoint(tokenizer.special_tokens.values())
    assert decoded(tokenizer, ids) == text.replace("\u2581", " ")  # SentencePiece's sign for a space


def test_the_special_tokens_are_the_control_tokens_and_the_markers_of_the_template(
    sentence_piece: tuple[GgufModel, Tokenizer],
) -> None:
    _, tokenizer = sentence_piece
    assert set(tokenizer.special_tokens) == {*MARKERS, *USER_MARKERS}


def test_user_defined_tokens_that_are_no_markers_are_part_of_a_text(
    sentence_piece: tuple[GgufModel, Tokenizer],
) -> None:
    model, tokenizer = sentence_piece
    ids = tokenizer.encode("a\n\n<table>")
    assert [model.tokens[token] for token in ids] == ["a", "\n\n", "<table>"]
