"""GPU memory: what there is, and how many tokens of context it holds beside the weights."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.engine.load_error import EngineLoadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.engine.model.checkpoint import Checkpoint
    from services.engine.tensorrt_llm.options import Options

log = logging.getLogger(__name__)

_MIB: Final = 1 << 20
_GIB: Final = 1 << 30
# For activations, CUDA graphs and the CUDA context; an estimate, on the safe side for batches of 8,192 tokens.
_RESERVE: Final = 3 * _GIB
_MOSTLY_FREE: Final = 0.95
_SETTLE_SECONDS: Final = 3.0
_SMALLEST_CONTEXT: Final = 1024
_KV_BYTES: Final = {"fp8": 1.0, "int8": 1.0, "nvfp4": 0.5}
_QUERY: Final = "name,memory.total,memory.free,compute_cap"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as the driver describes it; `architecture` is the compute capability, "9.0" for Hopper."""

    name: str
    total_bytes: int
    free_bytes: int
    architecture: str


def read_gpus() -> list[Gpu]:
    """The GPUs of this machine that CUDA would see; EngineLoadError without a driver.

    Asked of nvidia-smi, because CUDA itself, once started here, would take memory and forbid a later fork.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    chosen = [f"--id={visible}"] if visible else []
    command = ["nvidia-smi", f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits", *chosen]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - constant
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineLoadError(f"TensorRT-LLM needs an NVIDIA GPU, but nvidia-smi does not answer: {error}.") from error
    try:
        return [_gpu(line) for line in answer.stdout.splitlines() if line.strip()]
    except ValueError as error:
        raise EngineLoadError(f"nvidia-smi answered what is not understood: {answer.stdout.strip()!r}.") from error


def settled_gpus() -> list[Gpu]:
    """The GPUs, once nobody gives memory back any more; blocks for some seconds if something uses them.

    A server that broke is started again while its workers still end: what they hold would count as taken, and shrink
    the context or refuse it.
    """
    gpus = read_gpus()
    while any(gpu.free_bytes < _MOSTLY_FREE * gpu.total_bytes for gpu in gpus):
        time.sleep(_SETTLE_SECONDS)
        before, gpus = gpus, read_gpus()
        if all(now.free_bytes <= then.free_bytes for now, then in zip(gpus, before, strict=True)):
            break
    return gpus


def _gpu(line: str) -> Gpu:
    name, total, free, architecture = (part.strip() for part in line.rsplit(",", 3))
    return Gpu(name, int(total) * _MIB, int(free) * _MIB, architecture)


def kv_bytes_per_token(checkpoint: Checkpoint, kv_cache_dtype: str) -> float:
    """Keys and values of all layers: for Llama 3.1 8B 128 KiB in 16 bits, 64 KiB in FP8.

    `kv_cache_dtype` is the setting's; for auto the checkpoint's own counts.
    """
    numbers = 2 * checkpoint.layers * checkpoint.kv_heads * checkpoint.head_dim
    dtype = checkpoint.kv_cache_dtype if kv_cache_dtype == "auto" else kv_cache_dtype
    return numbers * _KV_BYTES.get(dtype, 2.0)


def cache_tokens(checkpoint: Checkpoint, options: Options, gpu: Gpu) -> int:
    """Tokens that the KV cache will hold, on the GPU with the least memory; may be negative."""
    ranks = options.tensor_parallel * options.pipeline_parallel
    left = gpu.free_bytes - checkpoint.weight_bytes / ranks - _RESERVE
    return int(left * options.kv_cache_fraction / (kv_bytes_per_token(checkpoint, options.kv_cache_dtype) / ranks))


def context_that_fits(checkpoint: Checkpoint, options: Options, gpus: Sequence[Gpu], wanted: int) -> int:
    """`wanted`, or for 0 the model's context as far as memory allows.

    EngineLoadError with the arithmetic if that does not fit.
    """
    gpu = min(gpus, key=lambda one: one.free_bytes)
    tokens = cache_tokens(checkpoint, options, gpu)
    arithmetic = _arithmetic(checkpoint, options, gpu, tokens)
    if wanted > checkpoint.context_length:
        raise EngineLoadError(
            f"The context length is set to {wanted:,} tokens, but the model has {checkpoint.context_length:,}."
        )
    if tokens < max(wanted, _SMALLEST_CONTEXT):
        raise EngineLoadError(
            f"The KV cache cannot hold a context of {max(wanted, _SMALLEST_CONTEXT):,} tokens: {arithmetic}. A smaller "
            "CHASQUI_CONTEXT_LENGTH, CHASQUI_KV_CACHE_DTYPE=fp8, an FP8 checkpoint or more GPUs help."
        )
    context = wanted or min(checkpoint.context_length, tokens // _SMALLEST_CONTEXT * _SMALLEST_CONTEXT)
    log.info("context of %s tokens: %s", f"{context:,}", arithmetic)
    return context


def _arithmetic(checkpoint: Checkpoint, options: Options, gpu: Gpu, tokens: int) -> str:
    ranks = options.tensor_parallel * options.pipeline_parallel
    per_token = kv_bytes_per_token(checkpoint, options.kv_cache_dtype) / ranks
    return (
        f"({gpu.free_bytes / _GIB:.1f} GiB free - {checkpoint.weight_bytes / ranks / _GIB:.1f} GiB weights - "
        f"{_RESERVE / _GIB:.0f} GiB reserve) x {options.kv_cache_fraction:g} / {per_token / 1024:g} KiB per token = "
        f"{max(0, tokens):,} tokens on {gpu.name}"
    )
