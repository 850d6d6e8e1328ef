"""What is read from a Hugging Face directory, and what is wrong with a damaged one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from services.engine.load_error import EngineLoadError
from services.engine.model.byte_level import tokenizer_from_checkpoint, tokenizer_from_gguf
from services.engine.model.checkpoint import read_checkpoint
from services.engine.model.gguf_file import read_gguf
from services.engine.tensorrt_llm.gpus import read_gpus
from services.engine.tensorrt_llm.memory import kv_bytes_per_token
from services.engine.tensorrt_llm.model import loadable_model
from services.engine.tensorrt_llm.options import Options
from services.engine.tensorrt_llm.runtime import load_runtime
from services.settings import DEMO_MODEL
from tests.support.tensorrt_llm.modes import HOPPER, compiled, install, install_gpus
from tests.support.tensorrt_llm.release import Release, write_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


def options(**changes: Any) -> Options:
    return Options(**({"context_length": 1024, "parallel": 4} | changes))


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Release:
    install_gpus(monkeypatch, tmp_path, HOPPER)
    return install(monkeypatch, Release())


def test_a_checkpoint_has_the_tokeniser_template_and_sizes_of_its_model(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write_checkpoint(tmp_path / "model", end_ids=(5,)))
    gguf = read_gguf(DEMO_MODEL)
    assert checkpoint.chat_template == gguf.chat_template
    assert checkpoint.end_ids == (gguf.eos_id, 5)
    assert (checkpoint.layers, checkpoint.kv_heads, checkpoint.head_dim) == (32, 8, 128)
    ours, theirs = tokenizer_from_checkpoint(checkpoint), tokenizer_from_gguf(gguf)
    assert ours.special_tokens == theirs.special_tokens
    text = "Grüße aus 東京 <|eot_id|> \n\n  def f(): 🦙"
    ids = ours.encode(text)
    assert not set(ids) & set(ours.special_tokens.values())
    assert ours.decoder().push(ids) == text


def test_a_model_from_the_hub_has_the_name_of_its_repository(release: Release, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--nvidia--Llama-3.1--8B-FP8" / "snapshots" / "0e9e39f2"
    model = write_checkpoint(snapshot)
    assert read_checkpoint(model).name == "nvidia/Llama-3.1--8B-FP8"
    engine = compiled(model, tmp_path / "engine")
    assert loadable_model(engine, load_runtime(), options(), read_gpus()).name == "nvidia/Llama-3.1--8B-FP8"
    assert read_checkpoint(write_checkpoint(tmp_path / "my-model")).name == "my-model"


def test_modelopt_s_quantisation_is_seen(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "model")
    (path / "hf_quant_config.json").write_text(json.dumps({"quantization": {"quant_algo": "FP8"}}))
    assert read_checkpoint(path).quantization == "fp8"
    assert kv_bytes_per_token(read_checkpoint(path), "auto") == 128 * 1024
    both = {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}
    (path / "hf_quant_config.json").write_text(json.dumps(both))
    assert kv_bytes_per_token(read_checkpoint(path), "auto") == 64 * 1024


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_checkpoint_without_one_of_its_files_is_a_sentence(tmp_path: Path, missing: str) -> None:
    path = write_checkpoint(tmp_path / "model")
    (path / missing).unlink()
    with pytest.raises(EngineLoadError, match=missing):
        read_checkpoint(path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"vocab_size": 3}', '{"num_attention_heads": "x"}'])
def test_a_checkpoint_with_a_damaged_config_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = write_checkpoint(tmp_path / "model")
    (path / "config.json").write_text(text)
    with pytest.raises(EngineLoadError, match="is not a checkpoint of a chat model"):
        read_checkpoint(path)
