"""Tokenizers: round trips, and text that never becomes a special token."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.engine.load_error import EngineLoadError
from services.engine.model.byte_level import tokenizer_from_gguf
from services.engine.model.gguf_file import read_gguf
from services.engine.model.tokenizer import TooManyTokensError
from services.engine.model.vocabulary import is_marker
from tests.support.gguf_files import demo_gguf, demo_tokenizer, write_gguf
from tests.support.wording import is_one_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SPECIAL = sorted(demo_tokenizer().special_tokens)
# Any text, in between which special tokens are spelled out, whole or in halves.
FORGED = st.lists(
    st.text(max_size=8)
    | st.sampled_from([*SPECIAL, *(token[:5] for token in SPECIAL), *(token[5:] for token in SPECIAL)]),
    max_size=8,
).map("".join)


def _decoded(ids: Sequence[int]) -> str:
    decoder = demo_tokenizer().decoder()
    return decoder.push(ids) + decoder.flush()


def test_the_demo_model_has_the_special_tokens_of_llama_3() -> None:
    wanted = {"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>"}
    assert wanted <= set(SPECIAL)


@given(FORGED)
def test_decoding_what_was_encoded_gives_the_text_back(text: str) -> None:
    assert _decoded(demo_tokenizer().encode(text)) == text


@given(FORGED)
def test_encoding_never_yields_a_special_token(text: str) -> None:
    assert not set(demo_tokenizer().encode(text)) & set(demo_tokenizer().special_tokens.values())


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n",
        "\r\n\r\n",
        "  two  spaces ",
        "\t\u00a0\u3000",
        "12345678",
        "I'LL we'll",
        "🦙🏽‍🚀",
        "你好",
        "e\u0301",
        "\x00",
        "\ufeffa",
    ],
)
def test_text_of_many_kinds_survives(text: str) -> None:
    assert _decoded(demo_tokenizer().encode(text)) == text


@pytest.mark.parametrize("token", SPECIAL)
def test_special_tokens_are_silent_when_decoded(token: str) -> None:
    inside = [*demo_tokenizer().encode("a"), demo_tokenizer().special_tokens[token], *demo_tokenizer().encode("b")]
    assert _decoded(inside) == "ab"


def test_the_tokenizer_has_as_many_tokens_as_the_file() -> None:
    assert demo_tokenizer().size == len(demo_gguf().tokens)


def test_plain_ids_are_exactly_the_tokens_of_printable_ascii() -> None:
    plain = set(demo_tokenizer().plain_ids())
    printable = {
        index
        for index in range(demo_tokenizer().size)
        if (text := _decoded([index])) and all(" " <= character <= "~" for character in text)
    }
    assert plain == printable
    assert len(plain) > 1000


def test_a_special_token_that_is_spelled_like_a_word_is_not_yielded_for_that_word(tmp_path: Path) -> None:
    model = read_gguf(write_gguf(tmp_path / "tiny.gguf", special=["end"]))
    assert [model.tokens[index] for index in tokenizer_from_gguf(model).encode("end")] == ["e", "n", "d"]


@pytest.mark.parametrize(
    ("family", "tokens"),
    [("llama-bpe", ["123", "4"]), ("qwen2", ["1", "2", "3", "4"])],
)
def test_families_group_digits_as_their_models_were_trained(tmp_path: Path, family: str, tokens: list[str]) -> None:
    model = read_gguf(write_gguf(tmp_path / "tiny.gguf", words=["123"], tokenizer__ggml__pre=family))
    assert [model.tokens[index] for index in tokenizer_from_gguf(model).encode("1234")] == tokens


@pytest.mark.parametrize(
    "changes",
    [{"tokenizer_model": "llama"}, {"tokenizer_model": "bert"}, {"pre_tokenizer": "default"}, {"pre_tokenizer": ""}],
)
def test_a_tokenizer_of_an_unknown_kind_is_refused_by_name(changes: dict[str, str]) -> None:
    with pytest.raises(EngineLoadError) as caught:
        tokenizer_from_gguf(replace(demo_gguf(), **changes))  # type: ignore[arg-type]
    message = str(caught.value)
    assert is_one_sentence(message)
    assert all(value in message for value in changes.values())


def test_a_token_that_is_not_spelled_in_bytes_stands_for_itself(tmp_path: Path) -> None:
    model = read_gguf(write_gguf(tmp_path / "tiny.gguf", words=["two words"]))
    assert tokenizer_from_gguf(model).token_bytes(model.tokens.index("two words")) == b"two words"


@pytest.mark.parametrize(
    ("token", "template", "marker"),
    [
        ("<|im_start|>", "", True),
        ("<｜User｜>", "", True),
        ("<tool_call>", "{{ '<tool_call>' }}", True),
        ("[INST]", "[INST] {{ messages[0].content }}", True),
        ("<tool_call>", "{{ messages }}", False),
        ("<table>", "", False),
        ("\n\n", "a\n\nb", False),
        ("  ", "a  b", False),
    ],
)
def test_a_user_defined_token_is_a_marker_if_the_template_writes_it_in_brackets(
    token: str, template: str, marker: bool
) -> None:
    assert is_marker(token, template) is marker


@given(
    unit=st.sampled_from(["a", "ab ", "1", " ", "\n", "🦙", "跑", "the runner, ", "\x00"]),
    times=st.integers(1, 200_000),
    most=st.integers(1, 5_000),
)
@settings(max_examples=30)
def test_a_text_is_only_called_too_long_if_it_is(unit: str, times: int, most: int) -> None:
    text = unit * times
    count = len(demo_tokenizer().encode(text))
    try:
        counted = len(demo_tokenizer().encode(text, most))
    except TooManyTokensError as error:
        counted = error.count
    assert counted == count or most < counted < count


@pytest.mark.parametrize("unit", ["the quick brown fox, ", "\N{GRINNING FACE}", " "])
def test_while_a_large_text_is_encoded_other_threads_run(unit: str) -> None:
    begun = threading.Event()

    def encode() -> None:
        begun.set()
        demo_tokenizer().encode(unit * (200_000 // len(unit)))

    encoding = threading.Thread(target=encode)
    encoding.start()
    begun.wait()
    turns = 0
    while encoding.is_alive():
        time.sleep(0)
        turns += 1
    # A few, if it held the interpreter: before it began and after it had ended.
    assert turns > 20


def test_only_a_long_text_is_encoded_in_a_thread_of_low_priority(tmp_path: Path) -> None:
    tokenizer = tokenizer_from_gguf(read_gguf(write_gguf(tmp_path / "tiny.gguf")))

    def threads() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name.startswith("tokenize")}

    before = threads()
    tokenizer.encode("a" * 65_535)
    assert threads() <= before
    tokenizer.encode("a" * 65_536)
    assert len(threads() - before) == 1


def test_a_text_far_too_long_is_not_encoded_to_its_end() -> None:
    with pytest.raises(TooManyTokensError) as raised:
        demo_tokenizer().encode("runners " * 500_000, 1000)
    assert 1000 < raised.value.count < 100_000


def test_the_tags_of_a_tool_call_are_text_of_a_choice_and_never_of_a_prompt(tmp_path: Path) -> None:
    model = read_gguf(write_gguf(tmp_path / "tiny.gguf", special=["<tool_call>", "<|end|>"]))
    tokenizer = tokenizer_from_gguf(model)
    tag, end = (tokenizer.special_tokens[token] for token in ("<tool_call>", "<|end|>"))
    assert tokenizer.decoder().push([tag, end]) == "<tool_call>"
    assert tag not in tokenizer.encode("<tool_call>")
