"""Reading a GGUF file's metadata, and refusing what is no such file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.engine.load_error import EngineLoadError
from services.engine.model.gguf_file import read_gguf
from tests.support.gguf_files import demo_gguf, write_gguf
from tests.support.wording import is_one_sentence

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small, sound file."""
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def _refusal(path: Path) -> str:
    with pytest.raises(EngineLoadError) as caught:
        read_gguf(path)
    message = str(caught.value)
    assert is_one_sentence(message)
    assert str(path) in message
    return message


def test_the_metadata_of_the_demo_model_is_read() -> None:
    model = demo_gguf()
    assert model.name == "chasqui-demo"
    assert (model.tokenizer_model, model.pre_tokenizer) == ("gpt2", "llama-bpe")
    assert len(model.tokens) == len(model.token_types)
    assert model.tokens[model.bos_id] == "<|begin_of_text|>"


def test_metadata_is_read_as_it_was_written(whole: Path) -> None:
    model = read_gguf(whole)
    assert (model.path, model.name, model.context_length, model.quantization) == (whole, "tiny", 64, "Q8_0")
    assert model.chat_template == "{{ bos_token }}"
    assert model.merges == ["a b"]
    assert model.tokens[model.eos_id] == "<|end|>"


def test_what_a_file_may_leave_out_has_a_substitute(tmp_path: Path) -> None:
    optional = (
        "general.name",
        "general.file_type",
        "tokenizer.ggml.pre",
        "tokenizer.ggml.merges",
        "tokenizer.ggml.bos_token_id",
        "tokenizer.chat_template",
    )
    model = read_gguf(write_gguf(tmp_path / "unnamed.gguf", leave_out=optional))
    assert (model.chat_template, model.tool_template) == ("", "")
    assert (model.name, model.quantization, model.pre_tokenizer) == ("unnamed", "unknown", "default")
    assert (model.merges, model.bos_id) == ([], model.eos_id)


def test_a_file_type_that_nobody_knows_is_an_unknown_quantization(tmp_path: Path) -> None:
    assert read_gguf(write_gguf(tmp_path / "tiny.gguf", general__file_type=999_999)).quantization == "unknown"


def test_the_digest_differs_between_files_and_is_the_same_for_equal_ones(tmp_path: Path, whole: Path) -> None:
    digest = read_gguf(whole).digest
    assert digest == read_gguf(write_gguf(tmp_path / "same.gguf")).digest
    assert digest != read_gguf(write_gguf(tmp_path / "other.gguf", general__name="tony")).digest
    assert len(digest) == 12
    assert int(digest, 16) >= 0


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    _refusal(tmp_path / "absent.gguf")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    _refusal(tmp_path)


@pytest.mark.parametrize("data", [b"", b"GGU", b"GGML" + bytes(100), b"PK\x03\x04", b"\x00" * 64])
def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    assert "not a GGUF file" in _refusal(path)


@pytest.mark.parametrize("length", [4, 5, 6, 7, 8, 12, 16, 20, 23, 24, 25, 32])
def test_a_file_cut_inside_its_header_is_refused(tmp_path: Path, whole: Path, length: int) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole.read_bytes()[:length])
    _refusal(path)


@given(share=st.floats(0.0, 1.0, exclude_max=True))
def test_a_file_cut_anywhere_in_its_metadata_is_refused(whole: Path, share: float) -> None:
    data = whole.read_bytes()
    metadata = data.rindex(b"tensor") - 8  # the description of the tensors begins with the length of the first's name
    path = whole.with_name("cut.gguf")
    path.write_bytes(data[: int(metadata * share)])
    with pytest.raises(EngineLoadError, match="GGUF"):
        read_gguf(path)


def test_a_file_whose_text_is_damaged_is_refused(tmp_path: Path, whole: Path) -> None:
    path = tmp_path / "damaged.gguf"
    data = whole.read_bytes()
    assert b"{{ bos_token }}" in data
    path.write_bytes(data.replace(b"{{ bos_token }}", b"{{ \xff\xff\xff_token }}"))
    _refusal(path)


@pytest.mark.parametrize(
    "key",
    [
        "llama.context_length",
        "tokenizer.ggml.model",
        "tokenizer.ggml.tokens",
        "tokenizer.ggml.token_type",
        "tokenizer.ggml.eos_token_id",
    ],
)
def test_what_a_language_model_needs_and_the_file_lacks_is_named(tmp_path: Path, key: str) -> None:
    assert key in _refusal(write_gguf(tmp_path / "tiny.gguf", leave_out=[key]))


def test_a_template_for_calls_with_tools_is_read_beside_the_usual_one(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", tokenizer__chat_template__tool_use="{{ tools }}")
    model = read_gguf(path)
    assert (model.chat_template, model.tool_template) == ("{{ bos_token }}", "{{ tools }}")


@pytest.mark.parametrize(
    ("changes", "adds_bos"),
    [
        ({"tokenizer__ggml__model": "llama"}, True),
        ({"tokenizer__ggml__pre": "llama3"}, True),
        ({"tokenizer__ggml__pre": "smollm"}, False),
    ],
)
def test_a_file_that_does_not_say_whether_prompts_begin_with_a_token_has_its_family_s_default(
    tmp_path: Path, changes: dict[str, str], adds_bos: bool
) -> None:
    assert read_gguf(write_gguf(tmp_path / "tiny.gguf", **changes)).adds_bos is adds_bos
