"""GPUs as nvidia-smi reports them, and the context that their memory holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.engine.load_error import EngineLoadError
from services.engine.model.checkpoint import read_checkpoint
from services.engine.tensorrt_llm import memory as memory_module
from services.engine.tensorrt_llm.memory import (
    Gpu,
    cache_tokens,
    context_that_fits,
    kv_bytes_per_token,
    read_gpus,
    settled_gpus,
)
from services.engine.tensorrt_llm.options import Options
from tests.support.tensorrt_llm.modes import HOPPER, install_gpus
from tests.support.tensorrt_llm.release import write_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30
H100 = Gpu("NVIDIA H100 80GB HBM3", 80 * GIB, 78 * GIB, "9.0")


def options(**changes: Any) -> Options:
    return Options(**({"context_length": 1024, "parallel": 4} | changes))


def test_the_cache_of_llama_8b_takes_128_kib_a_token_and_half_of_that_in_fp8(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write_checkpoint(tmp_path / "model"))
    assert kv_bytes_per_token(checkpoint, "auto") == 128 * 1024
    assert kv_bytes_per_token(checkpoint, "fp8") == 64 * 1024


def test_the_cache_holds_what_weights_and_reserve_leave(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "model")
    with (path / "model.safetensors").open("wb") as weights:
        weights.truncate(15 * GIB)
    checkpoint = read_checkpoint(path)
    tokens = cache_tokens(checkpoint, options(kv_cache_fraction=0.5), H100)
    assert tokens == (78 - 15 - 3) * GIB // 2 // (128 * 1024)
    shared = cache_tokens(checkpoint, options(kv_cache_fraction=0.5, tensor_parallel=2), H100)
    assert shared == int((78 - 7.5 - 3) * GIB / 2 / (64 * 1024))


def test_the_default_context_is_the_model_s_or_what_memory_allows(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write_checkpoint(tmp_path / "model", max_position_embeddings=131_072))
    assert context_that_fits(checkpoint, options(), [H100], 0) == 131_072
    small = Gpu("NVIDIA L4", 24 * GIB, 5 * GIB, "8.9")
    fitting = context_that_fits(checkpoint, options(), [H100, small], 0)
    assert fitting == int(2 * GIB * 0.85 / (128 * 1024)) // 1024 * 1024


def test_a_context_that_does_not_fit_is_refused_with_the_arithmetic(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write_checkpoint(tmp_path / "model", max_position_embeddings=131_072))
    small = Gpu("NVIDIA L4", 24 * GIB, 5 * GIB, "8.9")
    with pytest.raises(EngineLoadError) as refusal:
        context_that_fits(checkpoint, options(), [small], 131_072)
    arithmetic = (
        "(5.0 GiB free - 0.0 GiB weights - 3 GiB reserve) x 0.85 / 128 KiB per token = 13,926 tokens on NVIDIA L4"
    )
    assert arithmetic in str(refusal.value)
    with pytest.raises(EngineLoadError, match="the model has 131,072"):
        context_that_fits(checkpoint, options(), [H100], 200_000)


def test_the_gpus_are_those_that_nvidia_smi_reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install_gpus(monkeypatch, tmp_path, HOPPER, "NVIDIA L4, 23034, 22000, 8.9")
    assert [gpu.architecture for gpu in read_gpus()] == ["9.0", "8.9"]
    assert read_gpus()[0].free_bytes == 80_000 << 20


def test_memory_that_is_being_given_back_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory_module, "_SETTLE_SECONDS", 0.0)
    answers = tmp_path / "answers"
    answers.write_text("".join(f"NVIDIA L4, 24000, {free}, 8.9\n" for free in (4000, 9000, 15000, 15000, 20000)))
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\nhead -n 1 {answers}\nsed -i 1d {answers}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert [gpu.free_bytes >> 20 for gpu in settled_gpus()] == [15000]


@pytest.mark.parametrize("answer", ["No devices were found", "NVIDIA L4, [N/A], 1, 8.9"])
def test_an_answer_of_nvidia_smi_that_makes_no_sense_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str
) -> None:
    install_gpus(monkeypatch, tmp_path, answer)
    with pytest.raises(EngineLoadError, match="nvidia-smi answered"):
        read_gpus()


def test_a_machine_without_a_driver_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineLoadError, match="needs an NVIDIA GPU"):
        read_gpus()
