"""The engine that settings name, and the chat template that they replace."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from services.engine.factory import build_engine
from services.engine.load_error import EngineLoadError
from services.settings import Settings
from tests.support.gguf_files import write_gguf
from tests.support.tensorrt_llm.modes import TENSORRT_LLM_MODES
from tests.support.wording import is_one_sentence

if TYPE_CHECKING:
    from pathlib import Path


def test_a_template_from_a_file_replaces_those_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "chat.jinja").write_text("é {{ messages }}")
    model = write_gguf(tmp_path / "tiny.gguf", tokenizer__chat_template__tool_use="{{ tools }}")
    engine = build_engine(Settings(engine="simulated", model=str(model), chat_template=str(tmp_path / "chat.jinja")))
    assert (engine.model.chat_template, engine.model.tool_template) == ("é {{ messages }}", "")


def test_a_template_from_a_file_replaces_that_of_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chat.jinja").write_text("{{ messages }}")
    mode = next(iter(TENSORRT_LLM_MODES.values()))
    settings = mode.prepare(monkeypatch, tmp_path, parallel=1, context_length=1024)
    engine = build_engine(replace(settings, chat_template=str(tmp_path / "chat.jinja")))
    assert engine.model.chat_template == "{{ messages }}"


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_template_that_cannot_be_read_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "chat.jinja"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(EngineLoadError) as caught:
        build_engine(Settings(chat_template=str(file)))
    assert str(file) in str(caught.value)
    assert is_one_sentence(str(caught.value))


@pytest.mark.parametrize(("engine", "dtype"), [("llama-cpp", "fp8"), ("tensorrt-llm", "q8_0")])
def test_a_type_of_the_kv_cache_that_the_engine_lacks_is_refused_by_name(engine: str, dtype: str) -> None:
    with pytest.raises(EngineLoadError, match=f"CHASQUI_KV_CACHE_DTYPE is {dtype}"):
        build_engine(Settings(engine=engine, kv_cache_dtype=dtype))


def test_a_quantized_kv_cache_without_flash_attention_is_refused_by_name() -> None:
    with pytest.raises(EngineLoadError, match="CHASQUI_FLASH_ATTENTION"):
        build_engine(Settings(kv_cache_dtype="q8_0", flash_attention="off"))
