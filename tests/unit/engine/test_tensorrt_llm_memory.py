"""The context that the memory of GPUs holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.engine.load_error import EngineLoadError
from services.engine.model.checkpoint import read_checkpoint
from services.engine.tensorrt_llm.gpus import Gpu
from services.engine.tensorrt_llm.memory import cache_tokens, context_that_fits, kv_bytes_per_token
from services.engine.tensorrt_llm.options import Options
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
    tokens = cache_tokens(checkpoint, options(kv_cache_fraction=0.5), 78 * GIB)
    assert tokens == (78 - 15 - 3) * GIB // 2 // (128 * 1024)
    shared = cache_tokens(checkpoint, options(kv_cache_fraction=0.5, tensor_parallel=2), 78 * GIB)
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


def test_without_a_memory_figure_the_context_has_to_be_set_and_is_not_checked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = read_checkpoint(write_checkpoint(tmp_path / "model", max_position_embeddings=131_072))
    instance = Gpu("NVIDIA H100 MIG-1", 0, None, "9.0")
    with pytest.raises(EngineLoadError, match="memory of NVIDIA H100 MIG-1 cannot be read, so CHASQUI_CONTEXT_LENGTH"):
        context_that_fits(checkpoint, options(), [instance], 0)
    assert context_that_fits(checkpoint, options(), [instance], 4096) == 4096
    assert "whether the context fits is not checked" in caplog.text
